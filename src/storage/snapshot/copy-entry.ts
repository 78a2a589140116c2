import * as fs from 'node:fs';
import type { TransferControl } from '../control';
import { copyContent } from '../copy';
import { blaming, isErrno } from '../errors';
import { pathText, type PathBytes } from '../path-bytes';
import { setTimes } from '../posix';
import { requireContent } from '../verify-file';
import { PERMISSION_BITS, type FileEntry } from './entry';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/**
 * Makes a new file from a copy in the repository, as its entry wants it: synced and read back.
 * @param path of the new file, which must not exist; left as it is when this throws
 * @throws StorageError `ChecksumMismatch`, `Cancelled`, errno names
 */
export function copyEntry(donor: PathBytes, path: string, entry: FileEntry, control: TransferControl): void {
  const source = blaming('source', pathText(donor), () => fs.openSync(donor, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  try {
    const target = blaming('destination', path, () => fs.openSync(path, 'wx', 0o600));
    try {
      const stats = fs.fstatSync(source, { bigint: true });
      copyContent(target, { descriptor: source, stats }, { sourcePath: pathText(donor), targetPath: path, onSourceChanged: 'fail', control, sync: false });
      blaming('destination', path, () => finish(target, entry));
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
  requireContent(path, path, entry, 'device', control);
}

/** Mode, owner and times as recorded, then a sync. */
function finish(target: number, entry: FileEntry): void {
  try {
    fs.fchownSync(target, entry.uid, entry.gid);
  } catch (error) {
    // Only root may give files away, and some file systems have no owners: a copy without is better than none.
    if (!isErrno(error, 'EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EACCES')) throw error;
  }
  fs.fchmodSync(target, Number.parseInt(entry.mode, 8) & PERMISSION_BITS);
  setTimes(target, BigInt(entry.mtimeNs));
  fs.fsyncSync(target);
}
