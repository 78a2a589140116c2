import * as fs from 'node:fs';
import { unlinkIfPresent } from '../entries';
import { blaming, isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { fromJsonPath, pathText, type PathBytes } from '../path-bytes';
import { setEntryTimes } from '../posix';
import { dataPath } from './incoming-data';
import { isBelowKey, orderKey } from './entry-order';
import type { FurtherNames } from './further-names';
import type { DirectoryEntry, PresentEntry, SnapshotEntry, SymlinkEntry } from './entry';

/** What a file system says to a kind of entry that it does not have. */
const impossible = ['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'ENAMETOOLONG', 'EINVAL'];

/** A directory that the stream of entries is inside of. */
interface EnteredDirectory {
  readonly key: string;
  readonly path: PathBytes;
  readonly entry: DirectoryEntry;
}

/**
 * Makes what no chunk makes: symbolic links, further names of files, and the attributes of directories, each as soon as the
 * stream of entries has left it. Files are in place by then. Repeated, it finds its work done.
 */
export class EntryPlacer {
  private readonly entered: EnteredDirectory[] = [];

  /**
   * @param data directory of the copies; nobody else writes there
   * @param furtherNames makes those of files
   * @param syncEach make each directory durable by itself
   */
  constructor(
    private readonly data: string,
    private readonly furtherNames: FurtherNames,
    private readonly syncEach: boolean,
  ) {}

  /** Answers the entry, or that it cannot be kept where the repository is. @throws errno names of what may pass */
  place(entry: SnapshotEntry): SnapshotEntry {
    if (entry.state === 'failed') return entry;
    const path = fromJsonPath(entry.path);
    const key = orderKey(path);
    this.leaveAllBut(key);
    const target = dataPath(this.data, path);
    try {
      return blaming('destination', pathText(path), () => {
        if (entry.type === 'directory') this.enter(entry, key, target);
        else if (entry.type === 'symlink') makeSymlink(entry, target);
        else if (entry.type === 'file' && entry.hardLink !== undefined) return this.furtherNames.make(entry, entry.hardLink);
        return entry;
      });
    } catch (error) {
      if (!(error instanceof StorageError) || !impossible.includes(error.code)) throw error;
      const { code, side, message } = error;
      return { path: entry.path, type: entry.type, state: 'failed', failure: { code, side, message } };
    }
  }

  /** Leaves the directories that are still open. */
  close(): void {
    this.leaveAllBut(undefined);
  }

  private enter(entry: DirectoryEntry, key: string, path: PathBytes): void {
    // An earlier attempt may have closed it for its owner already.
    fs.chmodSync(path, 0o700);
    this.entered.push({ key, path, entry });
  }

  private leaveAllBut(key: string | undefined): void {
    for (let last = this.entered.at(-1); last !== undefined && (key === undefined || !isBelowKey(last.key, key)); last = this.entered.at(-1)) {
      this.entered.pop();
      leave(last, this.syncEach);
    }
  }
}

function leave({ path, entry }: EnteredDirectory, syncEach: boolean): void {
  blaming('destination', pathText(path), () => {
    // Opened while its owner still may.
    const descriptor = syncEach ? fs.openSync(path, 'r') : undefined;
    takeOwner(path, entry);
    fs.chmodSync(path, Number.parseInt(entry.mode, 8) & 0o777);
    setEntryTimes(path, BigInt(entry.mtimeNs));
    if (descriptor === undefined) return;
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
  });
}

function makeSymlink(entry: SymlinkEntry, path: PathBytes): void {
  const target = Buffer.from(fromJsonPath(entry.linkTarget));
  const found = lstatIfPresent(path);
  const isThere = found?.isSymbolicLink() === true && fs.readlinkSync(path, 'buffer').equals(target);
  if (!isThere) {
    unlinkIfPresent(path);
    fs.symlinkSync(target, path);
  }
  takeOwner(path, entry);
  setEntryTimes(path, BigInt(entry.mtimeNs));
}

/** Best effort: only root may give files away, and metadata knows the owner. */
function takeOwner(path: PathBytes, { uid, gid }: PresentEntry): void {
  if (process.geteuid?.() !== 0) return;
  try {
    fs.lchownSync(path, uid, gid);
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS')) throw error;
  }
}
