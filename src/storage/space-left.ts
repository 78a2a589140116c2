import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { formatBytes } from '../core/format';
import type { PathBytes } from './path-bytes';

/** What can still be written to a file system; infinite where it does not say, as a tmpfs without a limit. */
export interface SpaceLeft {
  readonly bytes: number;
  readonly files: number;
}

/** @throws errno names as they are */
export function spaceLeft(directory: PathBytes): SpaceLeft {
  const { bavail, bsize, blocks, files, ffree } = fs.statfsSync(directory);
  return { bytes: blocks === 0 ? Infinity : bavail * bsize, files: files === 0 ? Infinity : ffree };
}

/** For messages: both, since a disk without inodes looks empty to whoever counts bytes. */
export function spaceText({ bytes, files }: SpaceLeft): string {
  return [bytes === Infinity ? [] : formatBytes(bytes), files === Infinity ? [] : `${files} inodes`].flat().join(' and ') || 'nobody knows how many bytes';
}

/** What is left where something could not be written, which need not be there itself; empty where that cannot be told. */
export function spaceLeftAround(path: string): string {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    try {
      return `${directory} has ${spaceText(spaceLeft(directory))} left`;
    } catch {
      // Missing as well, or away by now: the failure that this is said about counts.
      if (directory === dirname(directory)) return '';
    }
  }
}
