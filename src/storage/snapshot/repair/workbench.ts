import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TransferControl } from '../../control';
import { copyContent } from '../../copy';
import { inDirectory, using } from '../../directory';
import { blaming, isErrno, StorageError } from '../../errors';
import { makeOwn } from '../../make-directory';
import { pathText, type PathBytes } from '../../path-bytes';
import { setEntryTimes, setTimes } from '../../posix';
import { removeTree } from '../../remove-tree';
import { readBack } from '../../read-back';
import { requireContent } from '../../verify-file';
import { noteWorker } from '../../worker-note';
import type { FileEntry } from '../entry';
import { incomingDirectory } from '../repository';
import { copyMode } from '../check/check-entry';
import { sweepRepairs } from '../leftovers';
import { inCopyParent } from './in-copy-parent';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/**
 * A directory of its own beside snapshots that are being written, in which replacements are made complete before they
 * take their place by one rename. Use `inWorkbench`.
 */
export class Workbench {
  private made = 0;

  constructor(
    private readonly repository: string,
    /** By way of its open descriptor. */
    private readonly directory: string,
    private readonly control: TransferControl,
  ) {}

  /**
   * A copy of an intact file as its entry wants it, synced and read back.
   * @throws StorageError `ChecksumMismatch`, `Cancelled`, errno names
   */
  copyFile(donor: PathBytes, entry: FileEntry): string {
    const path = this.next();
    const source = blaming('source', pathText(donor), () => fs.openSync(donor, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    try {
      const target = blaming('destination', path, () => fs.openSync(path, 'wx', 0o600));
      try {
        const stats = fs.fstatSync(source, { bigint: true });
        copyContent(target, { descriptor: source, stats }, { sourcePath: pathText(donor), targetPath: path, onSourceChanged: 'fail', control: this.control, sync: false });
        blaming('destination', path, () => finish(target, entry));
      } finally {
        fs.closeSync(target);
      }
    } finally {
      fs.closeSync(source);
    }
    requireContent(path, path, entry, 'device', this.control);
    return path;
  }

  /** A further name of a file. */
  link(file: PathBytes): string {
    const path = this.next();
    blaming('destination', path, () => fs.linkSync(file, path));
    return path;
  }

  symlink(target: PathBytes): string {
    const path = this.next();
    blaming('destination', path, () => fs.symlinkSync(target, path));
    return path;
  }

  /** A file of text with the digest that it must have. @throws StorageError `ChecksumMismatch`, errno names */
  writeFile(pieces: Iterable<Buffer>, sha256: string): string {
    const path = this.next();
    const descriptor = blaming('destination', path, () => fs.openSync(path, 'wx', 0o600));
    try {
      blaming('destination', path, () => {
        for (const piece of pieces) fs.writeSync(descriptor, piece);
        fs.fsyncSync(descriptor);
      });
    } finally {
      fs.closeSync(descriptor);
    }
    const found = readBack(path, 'device', this.control).sha256;
    if (found === sha256) return path;
    throw new StorageError('ChecksumMismatch', 'destination', path, `What was made in place of it has digest ${found}, not ${sha256}`, { expected: sha256, found });
  }

  /** Takes a file off the workbench that is no more needed there: its names are then those in the repository. */
  discard(file: string): void {
    blaming('destination', file, () => fs.unlinkSync(file));
  }

  /** Gives a replacement its place, and the directory there the time that it had. */
  place(replacement: string, path: PathBytes): void {
    this.changeParent(path, (entry) => fs.renameSync(replacement, entry));
  }

  makeDirectory(path: PathBytes): void {
    this.changeParent(path, (entry) => fs.mkdirSync(entry, { mode: 0o700 }));
  }

  /** Removes something without content of its own, such as a link. */
  unlink(path: PathBytes): void {
    this.changeParent(path, (entry) => fs.unlinkSync(entry));
  }

  private changeParent(path: PathBytes, change: (entry: PathBytes) => void): void {
    inCopyParent(this.repository, path, (parent, name) =>
      blaming('destination', pathText(path), () => {
        const { mtimeNs } = parent.stat();
        change(parent.entry(name));
        setEntryTimes(parent.entry('.'), mtimeNs);
        parent.sync();
      }),
    );
  }

  private next(): string {
    this.made += 1;
    return join(this.directory, String(this.made));
  }
}

/** Removes what a repair that was killed has left, makes a workbench, hands it over and removes it with whatever found no place. */
export function inWorkbench<T>(repository: string, control: TransferControl, calls: (workbench: Workbench) => T): T {
  sweepRepairs(repository, control);
  return inDirectory(repository, incomingDirectory(repository), 'destination', (incoming) => {
    const name = `repair-${randomUUID()}`;
    try {
      return using(makeOwn(incoming, name), ({ handle }) => {
        noteWorker(handle, name);
        return calls(new Workbench(repository, handle, control));
      });
    } finally {
      removeTree(incoming.handle, name);
      incoming.sync();
    }
  });
}

/** Mode, owner and times as recorded, then a sync. */
function finish(target: number, entry: FileEntry): void {
  try {
    fs.fchownSync(target, entry.uid, entry.gid);
  } catch (error) {
    // Only root may give files away, and some file systems have no owners: a copy without is better than none.
    if (!isErrno(error, 'EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EACCES')) throw error;
  }
  fs.fchmodSync(target, copyMode(entry));
  setTimes(target, BigInt(entry.mtimeNs));
  fs.fsyncSync(target);
}
