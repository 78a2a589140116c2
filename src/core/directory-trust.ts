/** Whose a file or directory is, and what it allows: what `stat` answers. */
export interface Rights {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** The user whose process it is. */
export interface Self {
  readonly uid: number;
  /** The primary group, which mostly has no other member. */
  readonly gid: number;
}

const STICKY = 0o1000;
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
  return isOwned(rights, self) && (isClosed(rights, self) || (rights.mode & STICKY) !== 0);
}

/** For messages: owner and mode, as `1000:1000 0755`. */
export function rightsText({ uid, gid, mode }: Rights): string {
  return `${uid}:${gid} ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
}
