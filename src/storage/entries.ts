import * as fs from 'node:fs';
import { isErrno } from './errors';
import type { PathBytes } from './path-bytes';

/** Names in a directory; none when it is not there. */
export function namesIn(path: string): string[] {
  try {
    return fs.readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

export function unlinkIfPresent(path: PathBytes): void {
  try {
    fs.unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
