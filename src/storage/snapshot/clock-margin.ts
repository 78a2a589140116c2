import { statfsSync } from 'node:fs';
import type { PathBytes } from '../path-bytes';

/**
 * File systems of this machine (ext2 to 4, xfs, btrfs, tmpfs, overlay, f2fs, zfs), which stamp files with the kernel's
 * clock: it moves in steps of a tick, 10 ms at most.
 */
const local = [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1];
const LOCAL_NS = 50_000_000n;

/** Others may count in steps of two seconds (FAT), or by a server's clock. */
const OTHER_NS = 4_000_000_000n;

const margins = new Map<bigint, bigint>();

/**
 * How far apart two changes of a file have to be for its times to tell them apart: what was written to so shortly before it
 * was read may have been written to again without a trace ("racy git").
 * @param directory somewhere on the file system of that device number
 */
export function clockMarginNs(device: bigint, directory: PathBytes): bigint {
  const known = margins.get(device);
  if (known !== undefined) return known;
  const margin = local.includes(statfsSync(directory).type) ? LOCAL_NS : OTHER_NS;
  margins.set(device, margin);
  return margin;
}
