import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** A folder of its own for each test of the surrounding block, removed afterwards. Its path runs through no link. */
export function useFolder(parent: () => string = tmpdir): () => string {
  let folder = '';
  beforeEach(() => {
    folder = makeFolder(parent());
  });
  afterEach(() => removeFolder(folder));
  return () => folder;
}

export function makeFolder(parent = tmpdir()): string {
  return fs.mkdtempSync(join(fs.realpathSync.native(parent), 'file-backup-test-'));
}

export function removeFolder(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true });
}

/** A file system in memory where there is one: syncing costs nothing there. */
export function memoryFolder(): string {
  return hasMemoryFolder() ? '/dev/shm' : tmpdir();
}

export function hasMemoryFolder(): boolean {
  try {
    fs.accessSync('/dev/shm', fs.constants.W_OK);
    return fs.statfsSync('/dev/shm').type === 0x01021994;
  } catch {
    return false;
  }
}

/** The same bytes for the same seed, whatever the size, without a pattern that a lost or doubled block could keep. */
export function contentOf(seed: number | string, sizeBytes: number): Buffer {
  if (sizeBytes === 0) return Buffer.alloc(0);
  return createHash('shake256', { outputLength: sizeBytes }).update(String(seed)).digest();
}

export function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Every entry below a folder with all that a backup could have changed; directories by mode alone. */
export function treeOf(folder: string): Record<string, string> {
  const entries: Record<string, string> = {};
  const visit = (path: string): void => {
    for (const name of fs.readdirSync(path).sort()) {
      const entry = join(path, name);
      entries[relative(folder, entry)] = describe(entry);
      if (fs.lstatSync(entry).isDirectory()) visit(entry);
    }
  };
  visit(folder);
  return entries;
}

function describe(path: string): string {
  const stats = fs.lstatSync(path, { bigint: true });
  const mode = (Number(stats.mode) & 0o7777).toString(8);
  if (stats.isDirectory()) return `directory ${mode}`;
  if (stats.isSymbolicLink()) return `link to ${fs.readlinkSync(path)}`;
  if (!stats.isFile()) return `special ${mode}`;
  return `file ${mode} inode ${stats.ino} mtime ${stats.mtimeNs} sha256 ${sha256(fs.readFileSync(path))}`;
}

/** Flips one bit, as a failing disk does. */
export function damage(path: string, offset = 0): void {
  const content = fs.readFileSync(path);
  content[offset] = (content[offset] ?? 0) ^ 1;
  const { atimeMs, mtimeMs } = fs.statSync(path);
  fs.writeFileSync(path, content);
  fs.utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
}

/** Files, directories and sockets that this process holds open. */
export function openDescriptors(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

export const isRoot = process.getuid?.() === 0;

/** Runs calls without root's rights when there are any to lose. Nobody's own files are of user and group 65534. */
export function withoutRights<T>(calls: () => T): T {
  if (!isRoot) return calls();
  process.setegid?.(65534);
  process.seteuid?.(65534);
  try {
    return calls();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** A user of this machine that is neither root nor the one that runs the tests. */
export const STRANGER = 12_345;

/** Runs calls with the rights of another user; only root can. */
export function asUser<T>(user: number, calls: () => T): T {
  process.setegid?.(user);
  process.seteuid?.(user);
  try {
    return calls();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}
