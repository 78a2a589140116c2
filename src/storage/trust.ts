import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { userInfo } from 'node:os';
import { letsOthersWrite, whoElseMayReplace, type Ownership, type RunningUser } from '../core/trust';
import { StorageError } from './errors';
import { accessListOf } from './posix';

/** Why a directory is not safe to write in. */
export interface Doubt {
  /** The directory in which somebody else may replace entries: the one that is opened, or one on the way to it. */
  readonly directory: string;
  readonly owner: Ownership;
  readonly who: string;
}

/**
 * The operator's word for this thread, and not a parameter: a worker or a command has it once, and a call that leaves it
 * out must not be less strict than the others.
 */
let areAllAccepted = false;

/** Accepts destinations in which somebody else can replace what is written there, or no more. */
export function acceptAnyDestination(accepted: boolean): void {
  areAllAccepted = accepted;
}

export function isAnyDestinationAccepted(): boolean {
  return areAllAccepted;
}

/** Judges an open directory by the rule of `whoElseMayReplace`. @param path for messages, and where descriptors have no paths */
export function doubtAbout(directory: string, owner: Ownership, path: string): Doubt | undefined {
  const user = runningUser();
  // Where there are no user ids there is nothing to judge by.
  if (user === undefined) return undefined;
  const who = whoElseMayReplace(owner, user, () => {
    const accessList = accessListOf(directory);
    return accessList !== undefined && letsOthersWrite(accessList, user);
  });
  return who === undefined ? undefined : { directory: path, owner, who };
}

/** Judges a file that was there before, in a directory in which everybody may make files. */
export function doubtAboutFile(owner: Ownership, path: string): Doubt | undefined {
  const user = runningUser();
  return user === undefined || owner.uid === user.uid || owner.uid === 0 ? undefined : { directory: path, owner, who: `its owner, user ${owner.uid}` };
}

/** @throws StorageError `DestinationNotTrusted` where there is a doubt, unless the operator accepts such destinations */
export function requireTrust(doubt: Doubt | undefined, path: string): void {
  if (doubt === undefined || areAllAccepted) return;
  const { directory, owner, who } = doubt;
  const where = directory === path ? 'it' : directory;
  throw notTrusted(path, `${path} cannot be trusted: ${who} can replace what is in ${where} (${inWords(owner)})`, owner);
}

/**
 * Of a directory that this program made for itself, by any attempt of the same run: it must be the running user's own and
 * closed to all others, whatever destinations are accepted.
 * @param directory a path by way of a descriptor
 * @throws StorageError `DestinationNotTrusted`
 */
export function requireOwn(descriptor: number, directory: string, path: string): void {
  const owner = fs.fstatSync(descriptor);
  const user = runningUser();
  if (user === undefined || (owner.uid === user.uid && (owner.mode & STICKY) === 0 && doubtAbout(directory, owner, path) === undefined)) return;
  if (areAllAccepted && isAsMadeHere(directory, owner)) return;
  throw notTrusted(path, `${path} is not the directory that the run has made: it belongs to somebody else, or is open to others (${inWords(owner)})`, owner);
}

const STICKY = 0o1000;

/** File systems without owners or modes of their own, and servers that map users, show what is made there as somebody else's. */
function isAsMadeHere(directory: string, { uid, mode }: Ownership): boolean {
  const probe = `${directory}/.owner-${randomUUID()}`;
  fs.mkdirSync(probe, { mode: 0o700 });
  try {
    const made = fs.lstatSync(probe);
    return made.uid === uid && ((mode & 0o022) === 0 || (made.mode & 0o022) !== 0);
  } finally {
    fs.rmdirSync(probe);
  }
}

function notTrusted(path: string, message: string, owner: Ownership): StorageError {
  return new StorageError('DestinationNotTrusted', 'destination', path, message, { found: inWords(owner) });
}

function inWords({ uid, gid, mode }: Ownership): string {
  return `owner ${uid}, group ${gid}, mode ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
}

let known: RunningUser | undefined;

/** Looked at each time, since a process may give up its rights; the group of a user is looked up once. */
export function runningUser(): RunningUser | undefined {
  const uid = process.geteuid?.();
  if (uid === undefined) return undefined;
  if (known?.uid !== uid) known = { uid, gid: primaryGroup() };
  return known;
}

function primaryGroup(): number {
  try {
    return userInfo().gid;
  } catch {
    // A user that has no entry, as in a container that is started with a number.
    return process.getegid?.() ?? -1;
  }
}
