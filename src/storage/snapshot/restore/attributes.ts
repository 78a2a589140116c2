import * as fs from 'node:fs';
import type { PathBytes } from '../../path-bytes';
import { setEntryTimes, setTimes } from '../../posix';

/** What an entry has beside its content, as the snapshot records it. */
export interface Attributes {
  /** Four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: string;
}

const ALL_BITS = 0o7777;

/** Without set-user-id, set-group-id and sticky bit: on a file of somebody else they would give other rights than were recorded. */
const PERMISSION_BITS = 0o777;

/**
 * Sets owner, times and mode of an open file or directory. The owner is best effort, since only root may give files away.
 * @throws errno names
 */
export function applyAttributes(descriptor: number, attributes: Attributes): void {
  const isOwnerRight = giveAway(fs.fstatSync(descriptor), attributes, (uid, gid) => fs.fchownSync(descriptor, uid, gid));
  setTimes(descriptor, BigInt(attributes.mtimeNs));
  // Last, since giving a file away clears bits.
  fs.fchmodSync(descriptor, modeFor(attributes, isOwnerRight));
}

/** As `applyAttributes`, for what cannot be opened. A link itself has no mode. @throws errno names */
export function applyEntryAttributes(path: PathBytes, type: 'symlink' | 'fifo', attributes: Attributes): void {
  const isOwnerRight = giveAway(fs.lstatSync(path), attributes, (uid, gid) => fs.lchownSync(path, uid, gid));
  if (type === 'fifo') fs.chmodSync(path, modeFor(attributes, isOwnerRight));
  setEntryTimes(path, BigInt(attributes.mtimeNs));
}

/** True when there is nothing to set, or nothing that this process could set better. */
export function hasAttributes(stats: fs.BigIntStats, attributes: Attributes): boolean {
  const isOwnerRight = Number(stats.uid) === attributes.uid && Number(stats.gid) === attributes.gid;
  if (!isOwnerRight && !isBestOwner(stats)) return false;
  if (String(stats.mtimeNs) !== attributes.mtimeNs) return false;
  return stats.isSymbolicLink() || (Number(stats.mode) & ALL_BITS) === modeFor(attributes, isOwnerRight);
}

/** Nobody but root can make it anybody else's. */
function isBestOwner({ uid }: fs.BigIntStats): boolean {
  const user = process.geteuid?.();
  return user !== 0 && Number(uid) === user;
}

function modeFor({ mode }: Attributes, isOwnerRight: boolean): number {
  return Number.parseInt(mode, 8) & (isOwnerRight ? ALL_BITS : PERMISSION_BITS);
}

/** Answers whether user and group are the recorded ones now. */
function giveAway(current: fs.Stats, { uid, gid }: Attributes, chown: (uid: number, gid: number) => void): boolean {
  if (current.uid === uid && current.gid === gid) return true;
  if (succeeds(() => chown(uid, gid))) return true;
  // Somebody may give own files to a group of theirs.
  if (current.gid !== gid) succeeds(() => chown(current.uid, gid));
  return false;
}

/** Not root, or a file system without owners: no reason to lose the file. */
function succeeds(calls: () => void): boolean {
  try {
    calls();
    return true;
  } catch {
    return false;
  }
}
