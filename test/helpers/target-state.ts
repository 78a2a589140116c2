import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Harness } from './backup-harness';

/** Everything of a file that a backup could have changed. */
export interface FileState {
  readonly sha256: string;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
}

/** Null when there is no such file. */
export function stateOf(path: string): FileState | null {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return null;
  return { sha256: sha256Of(path), mode: Number(stats.mode), mtimeNs: stats.mtimeNs, inode: stats.ino };
}

export function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** A target that is there before the backup, unlike the source in bytes, mode and time. */
export function writePrevious(path: string): FileState | null {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `previous content of ${path}`, { mode: 0o640 });
  utimesSync(path, 1_000_000_000, 1_000_000_000);
  return stateOf(path);
}

/** Runs that the worker still remembers as having a staging directory. */
export function registered({ stateDirectory }: Pick<Harness, 'stateDirectory'>): string[] {
  const directory = join(stateDirectory, 'staging');
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Polls until the condition holds; fails with the message when it does not within the bound. */
export async function until(message: string, condition: () => boolean | Promise<boolean>, withinMs = 45_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain until ${message}`);
    await delay(25);
  }
}
