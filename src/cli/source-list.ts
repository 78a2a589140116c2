import { createHash, randomUUID, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { MAX_INLINE_LIST_BYTES, type BatchBackupRequest } from '../batch-models';
import { messageOf } from '../core/error-message';
import { OpenDirectory, using } from '../storage/directory';
import { unlinkIfPresent } from '../storage/entries';
import { StorageError } from '../storage/errors';
import { inStateDirectory } from '../storage/state-directory';
import { UsageError } from './exit-codes';
import { CanonicalPaths } from './canonical-paths';
import { splitEntries } from './split-entries';
import { SourceRoots } from './source-roots';

export interface ListSource {
  /** Paths from the command line. */
  readonly files: readonly string[];
  /** A file with paths, or `-` for standard input. */
  readonly filesFrom: string | undefined;
  /** Entries of that file end with NUL instead of a line break. */
  readonly isNulSeparated: boolean;
}

/** A list of sources made ready for a batch: absolute, without links in its directories. */
export interface PreparedList {
  readonly entries: number;
  /** Few directories that hold all of them. */
  readonly roots: readonly string[];
  /** Digest of the bytes of the list that was read; undefined without one. */
  readonly fileSha256: string | undefined;
  /** The part of a batch's request that carries it. */
  readonly request: Pick<BatchBackupRequest, 'sources' | 'sourceList'>;
  /** Removes the file that a long list was written to, once nobody needs it. */
  discard(): void;
}

/** Lists of runs that were never continued go after so long. */
const KEEP_LISTS_DAYS = 30;

/**
 * Reads paths from the command line and from a list, whatever its length, as bytes: names need not be UTF-8. Short lists
 * travel in the request; a long one is written to `directory`, under its digest, for the worker.
 * @throws UsageError for an empty list, one that cannot be read, and entries that can be no path, each named
 */
export async function prepareList(source: ListSource, directory: string): Promise<PreparedList> {
  const writer = new ListWriter(directory);
  try {
    for (const file of source.files) writer.add(Buffer.from(file), `"${file}"`);
    const fileSha256 = source.filesFrom === undefined ? undefined : await addList(writer, source.filesFrom, source.isNulSeparated);
    if (writer.entries === 0) throw new UsageError(source.filesFrom === undefined ? 'Name at least one file, or a list of files with --files-from' : `The list ${nameOf(source.filesFrom)} is empty: there is nothing to back up`);
    return { ...writer.finish(), fileSha256 };
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

/** Answers the digest of the list's bytes. */
async function addList(writer: ListWriter, path: string, isNulSeparated: boolean): Promise<string> {
  const stream: Readable = path === '-' ? process.stdin : fs.createReadStream(path);
  const hash = createHash('sha256');
  let number = 0;
  try {
    for await (const entry of splitEntries(hashed(stream, hash), isNulSeparated ? 0 : 0x0a)) {
      number += 1;
      if (entry.length > 0) writer.add(entry, `Entry ${number} of ${nameOf(path)}`);
    }
    return hash.digest('hex');
  } catch (error) {
    if (error instanceof UsageError || error instanceof StorageError) throw error;
    throw new UsageError(`The list ${nameOf(path)} cannot be read: ${messageOf(error)}`);
  }
}

async function* hashed(stream: Readable, hash: Hash): AsyncGenerator<Buffer> {
  for await (const data of stream) {
    hash.update(data as Buffer);
    yield data as Buffer;
  }
}

function nameOf(path: string): string {
  return path === '-' ? 'on standard input' : path;
}

/** Longest path that Linux takes (PATH_MAX less its closing NUL), in bytes. */
const MAX_PATH_BYTES = 4095;
const BUFFERED_BYTES = 1024 * 1024;

class ListWriter {
  entries = 0;
  private readonly paths = new CanonicalPaths();
  private readonly roots = new SourceRoots();
  private readonly hash = createHash('sha256');
  private readonly draft = `.${randomUUID()}`;
  /** Opened when there is something to write. */
  private lists: OpenDirectory | undefined;
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private descriptor: number | undefined;
  private isText = true;

  constructor(private readonly directory: string) {}

  add(typed: Buffer, name: string): void {
    if (typed.includes(0)) throw new UsageError(`${name} contains a NUL character: is the list separated by NUL? Then add --from0.`);
    const { path, parent } = this.paths.of(typed);
    if (path.length > MAX_PATH_BYTES) throw new UsageError(`${name} is a path of ${path.length} bytes; paths have at most ${MAX_PATH_BYTES}${path.includes(0x0a) ? '' : '. Is the list separated by line breaks?'}`);
    if (path.length === 1) throw new UsageError(`${name} is the root directory: name files`);
    this.roots.add(parent);
    this.isText &&= Buffer.from(path.toString('utf8')).equals(path);
    this.write(path);
    this.entries += 1;
  }

  finish(): Omit<PreparedList, 'fileSha256'> {
    const { entries } = this;
    const roots = this.roots.list();
    const sha256 = this.hash.digest('hex');
    const sources = this.inlineSources();
    if (sources !== undefined) return { entries, roots, request: { sources }, discard: () => undefined };
    const name = `${sha256}.list`;
    this.flush();
    inStateDirectory(this.stateDirectory, () => {
      fs.closeSync(this.open());
      const opened = this.openLists();
      this.lists = undefined;
      using(opened, (lists) => {
        fs.renameSync(lists.entry(this.draft), lists.entry(name));
        removeOldLists(lists);
      });
    });
    const discard = (): void => using(openDirectory(this.directory), (lists) => unlinkIfPresent(lists.entry(name)));
    return { entries, roots, request: { sourceList: { path: join(this.directory, name), separator: 'nul', sha256, entries } }, discard };
  }

  abandon(): void {
    if (this.lists === undefined) return;
    using(this.lists, (lists) => unlinkIfPresent(lists.entry(this.draft)));
  }

  private get stateDirectory(): string {
    return dirname(this.directory);
  }

  private write(path: Buffer): void {
    const line = Buffer.concat([path, Buffer.alloc(1)]);
    this.hash.update(line);
    this.pending.push(line);
    this.pendingBytes += line.length;
    if (this.pendingBytes > BUFFERED_BYTES) this.flush();
  }

  /** What fits into a request, as long as none of it was written out. */
  private inlineSources(): string[] | undefined {
    if (!this.isText || this.descriptor !== undefined) return undefined;
    const sources = this.pending.map((line) => line.toString('utf8', 0, line.length - 1));
    return Buffer.byteLength(JSON.stringify(sources)) <= MAX_INLINE_LIST_BYTES ? sources : undefined;
  }

  private flush(): void {
    const data = Buffer.concat(this.pending);
    inStateDirectory(this.stateDirectory, () => {
      for (let written = 0; written < data.length; ) written += fs.writeSync(this.open(), data, written);
    });
    this.pending = [];
    this.pendingBytes = 0;
  }

  private open(): number {
    if (this.descriptor === undefined) {
      fs.mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      this.descriptor = fs.openSync(this.openLists().entry(this.draft), 'wx', 0o600);
    }
    return this.descriptor;
  }

  private openLists(): OpenDirectory {
    this.lists ??= openDirectory(this.directory);
    return this.lists;
  }
}

/** The state directory is the user's own choice, links in its path included. @throws StorageError `DestinationNotTrusted` */
function openDirectory(path: string): OpenDirectory {
  return OpenDirectory.open('/', fs.realpathSync.native(path), 'destination');
}

function removeOldLists(lists: OpenDirectory): void {
  const oldestMs = Date.now() - KEEP_LISTS_DAYS * 86_400_000;
  for (const name of fs.readdirSync(lists.handle)) {
    const path = lists.entry(name);
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() === true && stats.mtimeMs < oldestMs) unlinkIfPresent(path);
  }
}
