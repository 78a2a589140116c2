import type * as fs from 'node:fs';
import type { TransferControl } from '../../control';
import { errnoName, StorageError } from '../../errors';
import { isSameInode } from '../../file-stat';
import { bytewise } from '../../path-bytes';
import { readBack } from '../../read-back';
import type { FoundCopy } from '../check/check-entry';
import { sharedName, type FileEntry } from '../entry';
import type { NamedCopy, RepositoryNames } from './names';
import type { Workbench } from './workbench';

/** What files are repaired with. */
export interface RepairTools {
  readonly names: RepositoryNames;
  readonly workbench: Workbench;
  readonly control: TransferControl;
}

/**
 * Puts an intact file in the place of a copy that is damaged or missing, and of every other name that the damaged one
 * has. Only another inode helps: a further name of the damaged one has the same damage. A copy that has names outside of the
 * repository is replaced as well, also where it is intact: it is, or may become, somebody else's file.
 * @returns why it could not be done; undefined when it is
 * @throws StorageError `Cancelled`, errno names
 */
export function repairFile(name: NamedCopy, entry: FileEntry, tools: RepairTools): string | undefined {
  const { names, workbench } = tools;
  const found = names.find(name)?.stats;
  if (found?.isDirectory() === true) return 'a directory is in its place';
  const relative = findRelative(name, entry, tools)?.stats;
  const kept = relative ?? intact(name, entry, tools)?.stats;
  if (kept !== undefined && !hasForeignNames(name, entry, kept, tools)) {
    if (found === undefined || !isSameInode(kept, found)) linkRelative(name, entry, tools);
    return undefined;
  }
  const donor = findRelative(name, entry, tools) ?? intact(name, entry, tools) ?? findDonor(name, entry, found, tools);
  if (donor === undefined) return 'no other intact copy was found';
  const replacement = workbench.copyFile(donor.path, entry);
  for (const replaced of [found, relative]) if (replaced?.isFile() === true) replaceOtherNames(name, entry, replaced, replacement, tools);
  // Last, since the other names are made from it: so it never has more names than what it replaces.
  workbench.place(replacement, names.pathOf(name));
  return undefined;
}

/** Whether a file has more names than those that the repository accounts for. */
export function hasForeignNames(name: NamedCopy, { sha256 }: FileEntry, stats: fs.BigIntStats, { names }: RepairTools): boolean {
  if (stats.nlink === 1n) return false;
  let known = 0n;
  for (const other of names.of(name.path, sha256)) {
    const copy = names.find(other);
    if (copy !== undefined && isSameInode(copy.stats, stats)) known += 1n;
  }
  return known < stats.nlink;
}

function linkRelative(name: NamedCopy, entry: FileEntry, tools: RepairTools): void {
  const { names, workbench } = tools;
  const relative = findRelative(name, entry, tools);
  if (relative !== undefined) workbench.place(workbench.link(relative.path, entry), names.pathOf(name));
}

/** The copy that a name stands for, if it holds what the entry says. */
export function intact(name: NamedCopy, { sizeBytes, sha256 }: FileEntry, { names, control }: RepairTools): FoundCopy | undefined {
  const copy = names.find(name);
  if (copy === undefined || !copy.stats.isFile() || copy.stats.size !== BigInt(sizeBytes)) return undefined;
  try {
    return readBack(copy.path, 'device', control).sha256 === sha256 ? copy : undefined;
  } catch (error) {
    if (errnoName(error) === undefined || (error instanceof StorageError && error.code === 'Cancelled')) throw error;
    return undefined;
  }
}

/** An intact name of what is to be one file with this one: the first name, or a further one of this. */
function findRelative(name: NamedCopy, entry: FileEntry, tools: RepairTools): FoundCopy | undefined {
  const shared = sharedName(entry);
  if (shared !== undefined) return intact({ ...name, path: shared }, entry, tools);
  const key = bytewise(name.path);
  for (const other of tools.names.of(name.path, entry.sha256)) {
    if (other.snapshot !== name.snapshot || other.firstName === undefined || bytewise(other.firstName) !== key) continue;
    const copy = intact(other, entry, tools);
    if (copy !== undefined) return copy;
  }
  return undefined;
}

function findDonor(name: NamedCopy, entry: FileEntry, damaged: fs.BigIntStats | undefined, tools: RepairTools): FoundCopy | undefined {
  const tried = damaged === undefined ? [] : [damaged];
  for (const other of tools.names.of(name.path, entry.sha256)) {
    const stats = tools.names.find(other)?.stats;
    if (stats === undefined || tried.some((one) => isSameInode(one, stats))) continue;
    const copy = intact(other, entry, tools);
    if (copy !== undefined) return copy;
    tried.push(stats);
  }
  return undefined;
}

function isSameName(a: NamedCopy, b: NamedCopy): boolean {
  return a.snapshot === b.snapshot && bytewise(a.path) === bytewise(b.path);
}

/** Space is not lost either: what was one file is one file again, in all snapshots. */
function replaceOtherNames(name: NamedCopy, entry: FileEntry, damaged: fs.BigIntStats, replacement: string, { names, workbench }: RepairTools): void {
  if (damaged.nlink === 1n) return;
  for (const other of names.of(name.path, entry.sha256)) {
    const copy = names.find(other);
    if (isSameName(other, name) || copy === undefined || !isSameInode(copy.stats, damaged)) continue;
    workbench.place(workbench.link(replacement, entry), names.pathOf(other));
  }
}
