import * as fs from 'node:fs';
import type { TransferControl } from '../../control';
import { StorageError } from '../../errors';
import { kindOf } from '../../file-stat';
import type { PathBytes } from '../../path-bytes';
import { readBackFrom } from '../../read-back';
import { hasAttributes } from './attributes';
import type { Overwrite } from './request';
import type { FifoItem, FileItem, HardLinkItem, SymlinkItem } from './restore-item';

/** What lies at a target, and how to reach it without its path being redirected. */
export interface Found {
  readonly stats: fs.BigIntStats;
  readonly entry: PathBytes;
}

export type Decision = 'create' | 'replace' | 'unchanged' | 'keep';

/** What has content of its own, and so can be as recorded or not. */
export type ContentItem = FileItem | HardLinkItem | SymlinkItem | FifoItem;

/**
 * What to do about one target. Only reads.
 * @throws StorageError `TargetInvalid` where something of another kind lies, which is never removed
 */
export function decide(item: ContentItem, found: Found | undefined, overwrite: Overwrite, target: string, control: TransferControl): Decision {
  if (found === undefined) return 'create';
  requireKind(found.stats, item.type, target);
  if (overwrite === 'never') return 'keep';
  return isAsRecorded(item, found, overwrite, control) ? 'unchanged' : 'replace';
}

const kinds = { file: 'a regular file', hardLink: 'a regular file', symlink: 'a symbolic link', fifo: 'a FIFO', directory: 'a directory' } as const;

/** @throws StorageError `TargetInvalid` */
export function requireKind(stats: fs.BigIntStats, type: keyof typeof kinds, target: string): void {
  if (kindOf(stats) === kinds[type]) return;
  throw new StorageError('TargetInvalid', 'destination', target, `Target ${target} is ${kindOf(stats)} and should be ${kinds[type]}; it is left alone`, { expected: kinds[type], found: kindOf(stats) });
}

function isAsRecorded(item: ContentItem, { stats, entry }: Found, overwrite: Overwrite, control: TransferControl): boolean {
  const isTrusted = overwrite === 'ifChanged' ? String(stats.mtimeNs) === item.attributes.mtimeNs : hasAttributes(stats, item.attributes);
  if (!isTrusted) return false;
  switch (item.type) {
    case 'file':
    case 'hardLink':
      return Number(stats.size) === item.sizeBytes && (overwrite === 'ifChanged' || readBackFrom(entry, 'cache', control, item.sizeBytes).sha256 === item.sha256);
    case 'symlink':
      return fs.readlinkSync(entry, { encoding: 'buffer' }).equals(Buffer.from(item.linkTarget));
    case 'fifo':
      return true;
  }
}
