import * as fs from 'node:fs';
import type { OpenDirectory } from '../directory';
import { pathOf, type PathBytes } from '../path-bytes';
import { nameKey } from './entry-order';
import { identityOf } from './walked';

/** A name in a directory, and whether that said of it that it is a directory too. */
export interface Listed {
  readonly name: PathBytes;
  readonly isDirectory: boolean;
}

/**
 * What was opened is what was looked at, or is mounted there since, as automounters do when somebody opens. The other way
 * round, the empty directory below a mount that went away would pass for its content.
 */
export function isSameDirectory(looked: fs.BigIntStats, opened: fs.BigIntStats, deviceAbove: bigint | undefined): boolean {
  return identityOf(looked) === identityOf(opened) || (looked.dev !== opened.dev && opened.dev !== deviceAbove);
}

/** Names in the common order. Read as text first, which is faster; names that are none come as bytes. */
export function namesOf(directory: OpenDirectory): Listed[] {
  const path = directory.entry('.');
  const texts = fs.readdirSync(path, { withFileTypes: true });
  if (!texts.some(({ name }) => name.includes('\ufffd'))) return texts.map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() })).sort(byName);
  return fs.readdirSync(path, { withFileTypes: true, encoding: 'buffer' }).map((entry) => ({ name: pathOf(entry.name), isDirectory: entry.isDirectory() })).sort(byName);
}

function byName(a: Listed, b: Listed): number {
  const [keyA, keyB] = [nameKey(a.name), nameKey(b.name)];
  return keyA < keyB ? -1 : keyA > keyB ? 1 : 0;
}

/** With names that have to be looked for, though they need not be there. */
export function withNames(listed: Listed[], names: Set<string>): Listed[] {
  if (names.size === 0) return listed;
  for (const { name } of listed) if (typeof name === 'string') names.delete(name);
  return [...listed, ...[...names].map((name) => ({ name, isDirectory: false }))].sort(byName);
}
