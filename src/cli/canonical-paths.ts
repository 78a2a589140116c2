import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

const REMEMBERED_DIRECTORIES = 10_000;

/**
 * Makes typed paths absolute and rids their directories of links; the files themselves may still be links. Paths are
 * bytes: inside they are handled as text with one character a byte, since a separator is one byte in any encoding.
 */
export class CanonicalPaths {
  private readonly workingDirectory = Buffer.from(process.cwd()).toString('latin1');
  private directories = new Map<string, string>();

  of(typed: Buffer): { readonly path: Buffer; readonly parent: Buffer } {
    const path = resolve(this.workingDirectory, typed.toString('latin1'));
    if (path === '/') return { path: Buffer.from('/'), parent: Buffer.from('/') };
    const parent = this.directory(dirname(path));
    return { path: Buffer.from(join(parent, basename(path)), 'latin1'), parent: Buffer.from(parent, 'latin1') };
  }

  /** Most files of a list lie in few directories. */
  private directory(path: string): string {
    const known = this.directories.get(path);
    if (known !== undefined) return known;
    if (this.directories.size >= REMEMBERED_DIRECTORIES) this.directories = new Map();
    const real = realPath(path) ?? join(this.directory(dirname(path)), basename(path));
    this.directories.set(path, real);
    return real;
  }
}

/** Undefined for whatever cannot be resolved: the worker says what is wrong with it. */
function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(Buffer.from(path, 'latin1'), 'buffer').toString('latin1');
  } catch (error) {
    if (path === '/') throw error;
    return undefined;
  }
}
