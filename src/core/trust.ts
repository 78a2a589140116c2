/** Owner and mode of a directory, as fstat gives them. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Whom a process works for. */
export interface RunningUser {
  readonly uid: number;
  /** Primary group. */
  readonly gid: number;
}

const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;
const ROOT = 0;

/**
 * The rule by which directories are judged: who besides the running user and root can rename or replace what these have
 * made in it. In words, for a message; undefined when nobody can.
 *
 * In a sticky directory everybody may make entries, and only their owner and the directory's may replace them: what was
 * made there exclusively is its maker's. A user's own primary group counts as the user, unless that is root.
 * @param othersInAccessList who else may write by an access control list, of which the group bits are the mask; asked only
 *   where those bits allow writing
 */
export function whoElseMayReplace(directory: Ownership, user: RunningUser, othersInAccessList: () => boolean): string | undefined {
  const { uid, gid, mode } = directory;
  if (uid !== user.uid && uid !== ROOT) return `its owner, user ${uid}`;
  if ((mode & STICKY) !== 0) return undefined;
  if ((mode & OTHERS_WRITE) !== 0) return 'every user';
  if ((mode & GROUP_WRITE) === 0) return undefined;
  if (user.uid === ROOT || gid !== user.gid) return `group ${gid}`;
  return othersInAccessList() ? 'users of its access control list' : undefined;
}

const NAMED_USER = 0x02;
const NAMED_GROUP = 0x08;
const WRITE = 0x2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

/**
 * Whether a POSIX access control list, as Linux stores it in `system.posix_acl_access`, lets anybody else write: user and
 * root, and the user's own group, are no others.
 */
export function letsOthersWrite(accessList: Uint8Array, user: RunningUser): boolean {
  const view = new DataView(accessList.buffer, accessList.byteOffset, accessList.byteLength);
  for (let at = HEADER_BYTES; at + ENTRY_BYTES <= view.byteLength; at += ENTRY_BYTES) {
    const [tag, permissions, id] = [view.getUint16(at, true), view.getUint16(at + 2, true), view.getUint32(at + 4, true)];
    if ((permissions & WRITE) === 0) continue;
    if (tag === NAMED_USER && id !== user.uid && id !== ROOT) return true;
    if (tag === NAMED_GROUP && (id !== user.gid || user.uid === ROOT)) return true;
  }
  return false;
}
