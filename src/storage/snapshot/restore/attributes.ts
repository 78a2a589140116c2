import * as fs from 'node:fs';
import type { PathBytes } from '../../path-bytes';
import { setEntryTimes, setTimes } from '../../posix';
import type { RestoreItem } from './restore-item';

/** What an entry has beside its content, as the snapshot records it. */
export interface Attributes {
  /** Four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: string;
  /** Sets owners other than the running user, and set-user-id, set-group-id and sticky bits. Decided with the plan. */
  readonly withOwners: boolean;
}

const ALL_BITS = 0o7777;

/** Without set-user-id, set-group-id and sticky bit: on a file of somebody else they would give other rights than were recorded. */
const PERMISSION_BITS = 0o777;
const SPECIAL_BITS = 0o7000;

/** Whether a restore leaves out what gives rights: another owner than the running user, set-user-id, set-group-id and sticky bits. */
export function areRightsLeftOut(item: RestoreItem): boolean {
  if (item.type === 'skipped' || (item.type === 'directory' && !item.isDue)) return false;
  const { attributes } = item;
  if (attributes.withOwners) return false;
  return !isOwn(attributes) || (Number.parseInt(attributes.mode, 8) & SPECIAL_BITS) !== 0;
}

/** The running user, with one of his groups. */
function isOwn({ uid, gid }: Attributes): boolean {
  return uid === process.geteuid?.() && (gid === process.getegid?.() || process.getgroups?.().includes(gid) === true);
}

/**
 * Sets times and mode of an open file or directory, and its owner: that is best effort, since only root may give files away.
 * Unless it is `withOwners`, only the running user's own groups are set, and no bit beyond permissions that was not there.
 * @throws errno names
 */
export function applyAttributes(descriptor: number, attributes: Attributes): void {
  const mode = modeFor(attributes, fs.fstatSync(descriptor), (uid, gid) => fs.fchownSync(descriptor, uid, gid));
  setTimes(descriptor, BigInt(attributes.mtimeNs));
  // Last, since giving a file away clears bits.
  fs.fchmodSync(descriptor, mode);
}

/** As `applyAttributes`, for what cannot be opened. A link itself has no mode. @throws errno names */
export function applyEntryAttributes(path: PathBytes, type: 'symlink' | 'fifo', attributes: Attributes): void {
  const mode = modeFor(attributes, fs.lstatSync(path), (uid, gid) => fs.lchownSync(path, uid, gid));
  if (type === 'fifo') fs.chmodSync(path, mode);
  setEntryTimes(path, BigInt(attributes.mtimeNs));
}

/** True when there is nothing to set, or nothing that this process could or should set better. */
export function hasAttributes(stats: fs.BigIntStats, attributes: Attributes): boolean {
  const isOwnerRight = Number(stats.uid) === attributes.uid && Number(stats.gid) === attributes.gid;
  if (!isOwnerRight && !isBestOwner(stats, attributes)) return false;
  if (String(stats.mtimeNs) !== attributes.mtimeNs) return false;
  if (stats.isSymbolicLink()) return true;
  const [found, recorded] = [Number(stats.mode) & ALL_BITS, Number.parseInt(attributes.mode, 8)];
  if (attributes.withOwners) return found === (recorded & (isOwnerRight ? ALL_BITS : PERMISSION_BITS));
  return found === (recorded & (PERMISSION_BITS | found));
}

/** Nobody but root can make it anybody else's, and nobody should who was not asked to. */
function isBestOwner({ uid }: fs.BigIntStats, attributes: Attributes): boolean {
  const user = process.geteuid?.();
  return Number(uid) === user && (user !== 0 || (!attributes.withOwners && !isOwn(attributes)));
}

type ChangeOwner = (uid: number, gid: number) => void;

/** Sets the owner as far as it may, and answers the mode that the entry is to have then. */
function modeFor(attributes: Attributes, current: fs.Stats, chown: ChangeOwner): number {
  const recorded = Number.parseInt(attributes.mode, 8);
  if (attributes.withOwners) return recorded & (giveAway(current, attributes, chown) ? ALL_BITS : PERMISSION_BITS);
  if (current.gid !== attributes.gid && current.uid === attributes.uid && isOwn(attributes)) succeeds(() => chown(current.uid, attributes.gid));
  // A directory that was there keeps the bits that it has and should have.
  return recorded & (PERMISSION_BITS | current.mode);
}

/** Answers whether user and group are the recorded ones now. */
function giveAway(current: fs.Stats, { uid, gid }: Attributes, chown: ChangeOwner): boolean {
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
