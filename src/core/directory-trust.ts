import { whoElseMayReplace, type Ownership, type RunningUser } from './trust';

/** Whose a file or directory is, and what it allows: what `stat` answers. */
export type Rights = Ownership;

/** The user whose process it is, with the primary group, which mostly has no other member. */
export type Self = RunningUser;

const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;

/** The running user or root, who can do everything anyway, owns it. */
export function isOwned({ uid }: Rights, self: Self): boolean {
  return uid === self.uid || uid === 0;
}

/** Others than its owner may not write to it: a user's own primary group counts as himself, unless he is root. */
export function isClosed({ gid, mode }: Rights, self: Self): boolean {
  if ((mode & OTHERS_WRITE) !== 0) return false;
  return (mode & GROUP_WRITE) === 0 || (self.uid !== 0 && gid === self.gid);
}

/**
 * Nobody but the running user and root can rename or replace our entries in this directory. In a sticky one that holds for
 * entries that are ours: what was there before must prove its owner.
 */
export function isTrustedDirectory(rights: Rights, self: Self): boolean {
  return whoElseMayReplace(rights, self, () => false) === undefined;
}

/** For messages: owner and mode, as `1000:1000 0755`. */
export function rightsText({ uid, gid, mode }: Rights): string {
  return `${uid}:${gid} ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
}
