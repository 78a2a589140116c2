import type * as fs from 'node:fs';
import type { TransferControl } from './control';
import { isSameInode, lstatIfPresent } from './file-stat';
import { readBack } from './read-back';
import type { ExpectedContent } from './verify-file';

/**
 * Is the file at `path` the one that this operation published? With hard links its inode is compared with the second
 * link kept in staging (live inodes: device numbers may change over a reboot); without them size and digest decide.
 */
export function isOurs(path: string, keptLink: string, expected: ExpectedContent, control: TransferControl): boolean {
  const stats = lstatIfPresent(path);
  if (stats === undefined || !stats.isFile()) return false;
  const kept = lstatIfPresent(keptLink);
  if (kept !== undefined) return isSameInode(stats, kept);
  return holds(path, stats, expected, control);
}

function holds(path: string, stats: fs.BigIntStats, expected: ExpectedContent, control: TransferControl): boolean {
  return Number(stats.size) === expected.sizeBytes && readBack(path, 'cache', control).sha256 === expected.sha256;
}
