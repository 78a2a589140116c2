import * as fs from 'node:fs';
import { sha256 } from './files';

export interface TreeOptions {
  /** The directory itself as well, by an empty name. */
  readonly withTop?: boolean;
  /** Copies of repositories do not carry set-user-id, set-group-id and sticky bits, and no special files. */
  readonly ofCopies?: boolean;
  /** Names, with everything below them. */
  readonly skip?: readonly string[];
}

/**
 * Every entry below a directory with all that a snapshot keeps, byte by byte and to the nanosecond: kind, bytes, mode, owner,
 * times, links; further names of a file by the first of them. Whatever it is called, by its relative name, a character a byte.
 */
export function exactTree(top: string, { withTop = false, ofCopies = false, skip = [] }: TreeOptions = {}): Record<string, string> {
  const entries: Record<string, string> = {};
  const firstNames = new Map<string, string>();
  const visit = (path: Buffer): void => {
    const name = path.toString('latin1').slice(Buffer.byteLength(top) + 1);
    const stats = fs.lstatSync(path, { bigint: true });
    if (skip.includes(name) || (ofCopies && isSpecial(stats))) return;
    const inode = `${stats.dev}:${stats.ino}`;
    const first = firstNames.get(inode);
    if (!stats.isDirectory() && first === undefined) firstNames.set(inode, name);
    if (name !== '' || withTop) entries[name] = describe(path, stats, ofCopies ? 0o777 : 0o7777) + (first === undefined ? '' : ` is ${first}`);
    if (!stats.isDirectory()) return;
    const names = fs.readdirSync(path, 'buffer').sort((a, b) => a.compare(b));
    for (const each of names) visit(Buffer.concat([path, Buffer.from('/'), each]));
  };
  visit(Buffer.from(top));
  return entries;
}

function isSpecial(stats: fs.BigIntStats): boolean {
  return !stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink();
}

function describe(path: Buffer, stats: fs.BigIntStats, bits: number): string {
  const common = `${stats.uid}:${stats.gid} ${stats.mtimeNs}`;
  if (stats.isSymbolicLink()) return `link to ${fs.readlinkSync(path, 'latin1')} ${common}`;
  const attributes = `${(Number(stats.mode) & bits).toString(8)} ${common}`;
  if (stats.isDirectory()) return `directory ${attributes}`;
  if (stats.isFile()) return `file ${attributes} ${stats.size} bytes ${sha256(fs.readFileSync(path))}`;
  return `${stats.isFIFO() ? 'fifo' : 'special file'} ${attributes}`;
}
