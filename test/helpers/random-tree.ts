import * as fs from 'node:fs';
import * as fc from 'fast-check';
import { makeFifo, setEntryTimes } from '../../src/storage/posix';
import { isRoot } from './files';

/** Of few bytes, so that names meet; those that separate paths, end texts or mean a directory are left out. */
export const name = fc
  .uint8Array({ minLength: 1, maxLength: 3 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))))
  .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));

export const mtimeNs = fc.bigInt({ min: -10_000_000_000_000_000n, max: 4_000_000_000_000_000_000n });
const content = fc.uint8Array({ maxLength: 40 });

const leaf = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('file' as const), content, mode: fc.integer({ min: 0, max: 0o7777 }), mtimeNs }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('symlink' as const), to: name, mtimeNs }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fifo' as const), mode: fc.integer({ min: 0, max: 0o777 }), mtimeNs }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hardLink' as const), of: fc.nat() }) },
);

type Leaf = typeof leaf extends fc.Arbitrary<infer Value> ? Value : never;

export interface DirectoryTree {
  readonly kind: 'directory';
  readonly entries: readonly (readonly [Buffer, DirectoryTree | Leaf])[];
  readonly mode: number;
  readonly mtimeNs: bigint;
}

/** A directory of files, links, FIFOs, further names of files, and directories. */
export const { tree } = fc.letrec<{ tree: DirectoryTree; entry: DirectoryTree | Leaf }>((tie) => ({
  entry: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('tree')),
  tree: fc.record({ kind: fc.constant('directory' as const), entries: fc.array(fc.tuple(name, tie('entry')), { maxLength: 6 }), mode: fc.integer({ min: 0, max: 0o777 }), mtimeNs }),
}));

/** One thing that somebody does to a tree: to an entry of it, by a number, with another entry, a name, bytes and attributes where it takes any. */
export const edit = fc.record({
  kind: fc.constantFrom('write', 'append', 'truncate', 'editQuietly', 'chmod', 'touch', 'rename', 'remove', 'add', 'makeDirectory', 'makeLink', 'makeFile', 'link', 'replaceByRename'),
  at: fc.nat(),
  other: fc.nat(),
  name,
  content,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtimeNs,
});

export type Edit = typeof edit extends fc.Arbitrary<infer Value> ? Value : never;

const below = (directory: Buffer, each: Buffer): Buffer => Buffer.concat([directory, Buffer.from('/'), each]);
const isThere = (path: Buffer): boolean => fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Who is not root has to be able to read what is to be backed up. */
const readable = (mode: number): number => (isRoot ? mode : mode | 0o700);

/** Makes the tree; names that are there already are left out. */
export function plant(at: Buffer, planted: DirectoryTree, files: Buffer[] = []): void {
  for (const [each, entry] of planted.entries) {
    const path = below(at, each);
    if (isThere(path)) continue;
    if (entry.kind === 'directory') {
      fs.mkdirSync(path);
      plant(path, entry, files);
    } else plantLeaf(path, entry, files);
  }
  fs.chmodSync(at, readable(planted.mode));
  setEntryTimes(at, planted.mtimeNs);
}

function plantLeaf(path: Buffer, entry: Leaf, files: Buffer[]): void {
  if (entry.kind === 'hardLink') {
    const first = files[entry.of % Math.max(1, files.length)];
    if (first !== undefined) fs.linkSync(first, path);
    return;
  }
  if (entry.kind === 'file') {
    fs.writeFileSync(path, entry.content);
    fs.chmodSync(path, readable(entry.mode));
    files.push(path);
  } else if (entry.kind === 'fifo') makeFifo(path, entry.mode);
  else fs.symlinkSync(entry.to, path);
  setEntryTimes(path, entry.mtimeNs);
}

/** Does to the tree below a directory what the edits say, as far as there is something to do it to. */
export function apply(top: string, edits: readonly Edit[]): void {
  for (const each of edits) applyOne(Buffer.from(top), each);
}

function applyOne(top: Buffer, { kind, at, other, name: newName, content: bytes, mode, mtimeNs: timeNs }: Edit): void {
  const all = entriesBelow(top);
  const directories = [top, ...all.filter((path) => fs.lstatSync(path).isDirectory())];
  const fresh = below(directories[other % directories.length] ?? top, newName);
  const path = all[at % Math.max(1, all.length)];
  if (kind === 'add') return isThere(fresh) ? undefined : writeNew(fresh, bytes, mode);
  if (path === undefined) return;
  const stats = fs.lstatSync(path, { bigint: true });
  if (kind === 'remove') return fs.rmSync(path, { recursive: true, force: true });
  if (kind === 'touch') return setEntryTimes(path, timeNs);
  if (kind === 'chmod') return stats.isSymbolicLink() ? undefined : fs.chmodSync(path, readable(mode));
  if (kind === 'rename') return isThere(fresh) || isWithin(path, fresh) ? undefined : fs.renameSync(path, fresh);
  if (['makeDirectory', 'makeLink', 'makeFile'].includes(kind)) return replace(path, kind, newName, bytes, mode);
  if (!stats.isFile()) return;
  if (kind === 'link') return isThere(fresh) ? undefined : fs.linkSync(path, fresh);
  if (kind === 'replaceByRename') return replaceByRename(path, all, other);
  editFile(path, kind, bytes, stats);
}

/** As editors save: another inode under the same name. */
function replaceByRename(path: Buffer, all: readonly Buffer[], other: number): void {
  const source = all[other % all.length];
  if (source !== undefined && fs.lstatSync(source).isFile()) fs.renameSync(source, path);
}

function editFile(path: Buffer, kind: string, bytes: Uint8Array, stats: fs.BigIntStats): void {
  if (kind === 'write') fs.writeFileSync(path, bytes);
  else if (kind === 'append') fs.appendFileSync(path, bytes);
  else if (kind === 'truncate') fs.truncateSync(path, Number(stats.size) >> 1);
  else {
    // The same size and the same time: only the time of change tells.
    const before = fs.readFileSync(path);
    fs.writeFileSync(path, before.map((byte) => byte ^ 0xff));
    setEntryTimes(path, stats.mtimeNs);
  }
}

function replace(path: Buffer, kind: string, to: Buffer, bytes: Uint8Array, mode: number): void {
  fs.rmSync(path, { recursive: true, force: true });
  if (kind === 'makeLink') fs.symlinkSync(to, path);
  else if (kind === 'makeFile') writeNew(path, bytes, mode);
  else {
    fs.mkdirSync(path);
    writeNew(below(path, to), bytes, mode);
  }
}

function writeNew(path: Buffer, bytes: Uint8Array, mode: number): void {
  fs.writeFileSync(path, bytes);
  fs.chmodSync(path, readable(mode));
}

function isWithin(directory: Buffer, path: Buffer): boolean {
  return Buffer.concat([path, Buffer.from('/')]).toString('latin1').startsWith(`${directory.toString('latin1')}/`);
}

function entriesBelow(directory: Buffer): Buffer[] {
  return fs.readdirSync(directory, 'buffer').sort((a, b) => a.compare(b)).flatMap((each) => {
    const path = below(directory, each);
    return fs.lstatSync(path).isDirectory() ? [path, ...entriesBelow(path)] : [path];
  });
}
