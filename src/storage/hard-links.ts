import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { isErrno } from './errors';
import { unlinkIfPresent } from './entries';

/** What is made to try it out has names of this beginning. */
export const PROBE = 'probe-';

/** What a file system says to a further name of a file where it knows none, or the file has as many as it can have. */
const refusals = ['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EINVAL'];

/** The file gets no further name here: then a copy takes its place, or a rename. */
export function isLinkRefused(error: unknown): boolean {
  return isErrno(error, ...refusals);
}

/** As `isLinkRefused`, where a rename gives the only name as well: on some file systems a further one takes an inode, and there may be none. */
export function isLinkImpossible(error: unknown): boolean {
  return isLinkRefused(error) || isErrno(error, 'ENOSPC', 'EDQUOT');
}

/** Tried out rather than looked up: what a file system says of itself and what a mount allows differ. */
export function canLinkIn(directory: string): boolean {
  const file = `${directory}/${PROBE}${randomUUID()}`;
  const link = `${file}-link`;
  fs.writeFileSync(file, '', { mode: 0o600, flag: 'wx' });
  try {
    fs.linkSync(file, link);
    return true;
  } catch (error) {
    if (isLinkRefused(error)) return false;
    throw error;
  } finally {
    unlinkIfPresent(file);
    unlinkIfPresent(link);
  }
}
