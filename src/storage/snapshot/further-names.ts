import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { runDirectory, type RunLocation } from '../batch/run-directory';
import type { TransferControl } from '../control';
import { unlinkIfPresent } from '../entries';
import { isErrno } from '../errors';
import { isSameInode } from '../file-stat';
import { isLinkRefused } from '../hard-links';
import { fromJsonPath, toJsonPath, type JsonPath, type PathBytes } from '../path-bytes';
import { copyEntry } from './copy-entry';
import type { FileEntry } from './entry';
import { orderKey } from './entry-order';
import { dataDirectory, dataPath } from './incoming-data';

/**
 * Makes further names of files in a snapshot that is being made: links of the first name's copy. Where that takes no more,
 * or the file system knows no links, a fresh copy gets the name, and those that follow are links of that one.
 */
export class FurtherNames {
  private readonly data: string;
  /** Of first names, by their keys: where the latest fresh copy is. */
  private readonly fresh = new Map<string, PathBytes>();

  constructor(
    private readonly location: RunLocation,
    private readonly control: TransferControl,
  ) {
    this.data = dataDirectory(location);
  }

  /** Answers the entry with the name whose copy it shares. Repeated, it finds its work done. @throws StorageError as `copyEntry` */
  make(entry: FileEntry, hardLink: JsonPath): FileEntry {
    const first = fromJsonPath(hardLink);
    const key = orderKey(first);
    const holder = this.fresh.get(key) ?? first;
    const path = fromJsonPath(entry.path);
    const copy = dataPath(this.data, holder);
    const target = dataPath(this.data, path);
    if (!link(copy, target)) {
      if (!isPresent(target)) this.copy(copy, target, entry);
      this.fresh.set(key, path);
      return { ...entry, linkedTo: entry.path };
    }
    return holder === first ? entry : { ...entry, linkedTo: toJsonPath(holder) };
  }

  /** Aside first: a name that is there is whole. */
  private copy(donor: PathBytes, target: PathBytes, entry: FileEntry): void {
    const draft = `${runDirectory(this.location)}/copy-${randomUUID()}`;
    try {
      copyEntry(donor, draft, entry, this.control);
      fs.renameSync(draft, target);
    } finally {
      unlinkIfPresent(draft);
    }
  }
}

/** False where it cannot be, or an earlier attempt could not. */
function link(copy: PathBytes, target: PathBytes): boolean {
  try {
    fs.linkSync(copy, target);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return isSameInode(fs.lstatSync(copy, { bigint: true }), fs.lstatSync(target, { bigint: true }));
    if (isLinkRefused(error)) return false;
    throw error;
  }
}

function isPresent(path: PathBytes): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
