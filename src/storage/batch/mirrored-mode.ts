import * as fs from 'node:fs';
import type { OpenDirectory } from '../directory';
import { isErrno } from '../errors';
import { OWNER_ONLY } from '../parents';

/** Reading and passing, as the last digit of a mode has them. */
const LOOK = 0o5;

/**
 * Mode for a new directory that stands for one of a source: nobody may look into the copy who could not look into the
 * source. Its group may be another one, so that it gets no more than everybody; and nobody but its owner may write, or
 * others could exchange copies.
 * @param source the open directory of a file, from which the way up is taken: its path may lead elsewhere by now
 * @param levels how far above it
 */
export function mirroredMode(source: OpenDirectory, levels: number): number {
  const others = modeAbove(source, levels) & LOOK;
  return OWNER_ONLY | (others << 3) | others;
}

function modeAbove(source: OpenDirectory, levels: number): number {
  try {
    return fs.statSync(source.entry(`${'../'.repeat(levels)}.`)).mode;
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'ENOENT')) throw error;
    return OWNER_ONLY;
  }
}
