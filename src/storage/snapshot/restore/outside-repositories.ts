import { isRepository } from '../../inside-repository';
import { isBelowKey, orderKey } from '../entry-order';
import type { RestoreItem, SkippedItem } from './restore-item';
import { targetOf } from './target-finder';

/**
 * The items of a restore, with those skipped that would get into a repository below its destination: what is published
 * there is never changed. Looks once at each directory.
 */
export function* outsideRepositories(items: Iterable<RestoreItem>, destination: string): Generator<RestoreItem> {
  let inside: string | undefined;
  for (const item of items) {
    if (inside !== undefined && !isBelowKey(inside, orderKey(item.path))) inside = undefined;
    // The destination itself has been looked at.
    if (inside === undefined && item.type === 'directory' && item.path.length > 1 && isRepository(targetOf({ destination }, item.path))) inside = orderKey(item.path);
    yield inside === undefined ? item : skipped(item);
  }
}

function skipped(item: RestoreItem): SkippedItem {
  if (item.type === 'skipped') return item;
  return { type: 'skipped', path: item.path, entryType: item.type === 'hardLink' ? 'file' : item.type, reason: 'repository' };
}
