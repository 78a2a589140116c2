import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TransferControl } from '../../control';
import { inDirectory, using } from '../../directory';
import { blaming, StorageError } from '../../errors';
import { isLinkRefused } from '../../hard-links';
import { makeOwn } from '../../make-directory';
import { pathText, type PathBytes } from '../../path-bytes';
import { setEntryTimes } from '../../posix';
import { removeTree } from '../../remove-tree';
import { readBack } from '../../read-back';
import { noteWorker } from '../../worker-note';
import { copyEntry } from '../copy-entry';
import type { FileEntry } from '../entry';
import { incomingDirectory } from '../repository';
import { sweepRepairs } from '../leftovers';
import { inCopyParent } from './in-copy-parent';

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
    copyEntry(donor, path, entry, this.control);
    return path;
  }

  /**
   * A further name of a file, or a copy of it where it has as many names as it can have.
   * @throws StorageError `ChecksumMismatch`, `Cancelled`, errno names
   */
  link(file: PathBytes, entry: FileEntry): string {
    const path = this.next();
    try {
      blaming('destination', path, () => fs.linkSync(file, path));
    } catch (error) {
      if (!isLinkRefused(error)) throw error;
      copyEntry(file, path, entry, this.control);
    }
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
