import * as fs from 'node:fs';
import { join } from 'node:path';
import { isClosed, isOwned, isTrustedDirectory, rightsText } from '../../../core/directory-trust';
import { blaming, StorageError } from '../../errors';
import { snapshotEntries } from '../snapshot-record';

/**
 * Owners and set-user-id bits are rights, and whoever writes metadata could give himself any. So they are taken only from a
 * snapshot that nobody but the running user and root can have written or exchanged.
 * @param repository without links in its path
 * @throws StorageError `RepositoryNotTrusted`, errno names
 */
export function requireTrustedRepository(repository: string, snapshot: string): void {
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const directory = join(repository, snapshot);
  for (const path of wayTo(directory)) requireRights(path, (rights) => isTrustedDirectory(rights, self));
  for (const name of [snapshotEntries.record, snapshotEntries.metadata]) requireRights(join(directory, name), (rights) => isOwned(rights, self) && isClosed(rights, self));
}

/** Directories from the top down, without the root directory itself, which nobody can replace. */
function wayTo(path: string): string[] {
  const names = path.split('/').slice(1);
  return names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`);
}

function requireRights(path: string, isTrusted: (rights: fs.Stats) => boolean): void {
  const stats = blaming('source', path, () => fs.lstatSync(path));
  if (isTrusted(stats)) return;
  const found = rightsText(stats);
  throw new StorageError('RepositoryNotTrusted', 'source', path, `Owners are restored only from a repository that you or root own and nobody else can change: ${path} has owner and mode ${found}`, { found });
}
