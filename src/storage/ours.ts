import type * as fs from 'node:fs';
import type { TransferControl } from './control';
import { isSameInode, lstatIfPresent } from './file-stat';
import { readBack } from './read-back';
import type { ExpectedContent } from './verify-file';

/** What is left in staging to tell our target by. */
export interface Traces {
  readonly hardLinks: boolean;
  /** Path of the second link of the staged file, made before it is published. */
  readonly published: string;
  /** Path of the staged file itself. */
  readonly staged: string;
}

/**
 * Is the file at `path` the one that this operation published? With hard links its inode is compared with the second
 * link kept in staging (live inodes: device numbers may change over a reboot); without them size and digest decide,
 * unless the staged file is still there: publishing would have moved it away.
 */
export function isOurs(path: string, { hardLinks, published, staged }: Traces, expected: ExpectedContent, control: TransferControl): boolean {
  const stats = lstatIfPresent(path);
  if (stats === undefined || !stats.isFile()) return false;
  if (!hardLinks) return lstatIfPresent(staged) === undefined && holds(path, stats, expected, control);
  const kept = lstatIfPresent(published);
  return kept !== undefined && isSameInode(stats, kept);
}

function holds(path: string, stats: fs.BigIntStats, expected: ExpectedContent, control: TransferControl): boolean {
  return Number(stats.size) === expected.sizeBytes && readBack(path, 'cache', control).sha256 === expected.sha256;
}
