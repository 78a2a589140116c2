import * as fs from 'node:fs';
import { pathOf, pathText, type PathBytes } from '../../src/storage/path-bytes';
import { sha256 } from './files';

export interface TreeOptions {
  /** Copies of repositories do not carry set-user-id, set-group-id and sticky bits, and no special files. */
  readonly ofCopies?: boolean;
}

/** Every entry at and below a path with all that a snapshot keeps: kind, bytes, mode, owner, times, links. By relative name. */
export function exactTree(top: string, { ofCopies = false }: TreeOptions = {}): Record<string, string> {
  const entries: Record<string, string> = {};
  const firstNames = new Map<string, string>();
  const bits = ofCopies ? 0o777 : 0o7777;
  const visit = (path: Buffer, relative: PathBytes): void => {
    const stats = fs.lstatSync(path, { bigint: true });
    const name = pathText(relative);
    const attributes = `${(Number(stats.mode) & bits).toString(8)} ${stats.uid}:${stats.gid} ${stats.mtimeNs}`;
    if (stats.isSymbolicLink()) entries[name] = `link to ${pathText(pathOf(fs.readlinkSync(path, 'buffer')))} ${stats.uid}:${stats.gid} ${stats.mtimeNs}`;
    else if (stats.isFile()) {
      const inode = `${stats.dev}:${stats.ino}`;
      const first = firstNames.get(inode);
      if (first === undefined) firstNames.set(inode, name);
      entries[name] = `file ${attributes} ${stats.size} bytes ${sha256(fs.readFileSync(path))}${first === undefined ? '' : ` same as ${first}`}`;
    } else if (!stats.isDirectory()) {
      if (!ofCopies) entries[name] = `special ${(Number(stats.mode) & bits).toString(8)} ${stats.isFIFO()} ${stats.mtimeNs}`;
    } else {
      entries[name] = `directory ${attributes}`;
      const names = fs.readdirSync(path, 'buffer').sort((a, b) => a.compare(b));
      for (const each of names) visit(Buffer.concat([path, Buffer.from('/'), each]), pathOf(Buffer.concat([Buffer.from(relative), Buffer.from('/'), each])));
    }
  };
  visit(Buffer.from(top), '');
  return entries;
}
