import { lstatSync } from 'node:fs';
import { copiedBytes, requireRoom, type Need, type Needed, type Room } from '../../batch/room';
import type { RunLocation } from '../../batch/run-directory';
import { inRun } from '../../batch/run-mark';
import { joinPath } from '../../path-bytes';
import { snapshotEntries } from '../snapshot-record';
import type { Found } from './decide';
import { readFileItems } from './read-items';
import type { SnapshotSource } from './request';
import type { FileItem, RestoreItem } from './restore-item';

const BLOCK_BYTES = 512;

/** What a restore needs at least, on each file system that it writes to. */
export class RestoreNeeds {
  private readonly needs = new Map<string, { bytes: number; files: number }>();

  /** @param directory one on the file system that it goes to */
  add(item: RestoreItem, found: Found | undefined, directory: string): void {
    if (item.type === 'skipped' || item.type === 'hardLink' || (found !== undefined && item.type !== 'file')) return;
    const need = this.needs.get(directory) ?? { bytes: 0, files: 0 };
    this.needs.set(directory, need);
    if (found === undefined) need.files += 1;
    if (item.type === 'file') need.bytes += found === undefined ? item.sizeBytes : more(item, found);
  }

  list(): Need[] {
    return [...this.needs].map(([directory, { bytes, files }]) => ({ directory, bytes: Math.max(0, bytes), files }));
  }
}

/** Of one that is there: it may be as recorded, and gives back what it takes when it is replaced. */
function more({ sizeBytes, attributes }: FileItem, { stats }: Found): number {
  const isAsRecorded = Number(stats.size) === sizeBytes && String(stats.mtimeNs) === attributes.mtimeNs;
  return isAsRecorded ? 0 : sizeBytes - (stats.nlink > 1n ? 0 : Number(stats.blocks) * BLOCK_BYTES);
}

/** As `requireRoom`, of a planned restore: of files with holes the copies in the repository say what they take. */
export function requireRestoreRoom(location: RunLocation, chunks: number, needs: readonly Need[], source: SnapshotSource): Room {
  return requireRoom(needs, () => inRun(location, (opened) => holesIn(opened, chunks, source)));
}

function holesIn(location: RunLocation, chunks: number, source: SnapshotSource): Needed {
  let bytes = 0;
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    for (const item of readFileItems(location, chunk).items) bytes += holesOf(item, source);
  }
  return { bytes, files: 0 };
}

/** @returns 0 for a copy that is not there, which fails when its turn comes */
export function holesOf({ path, sizeBytes }: FileItem, { repository, snapshot }: SnapshotSource): number {
  const stats = lstatSync(joinPath(`${repository}/${snapshot}/${snapshotEntries.data}`, path.slice(1)), { throwIfNoEntry: false });
  return stats?.isFile() === true ? Math.max(0, sizeBytes - copiedBytes(stats)) : 0;
}
