import { join } from 'node:path';
import { messageOf } from '../../../core/error-message';
import type { OpenDirectories } from '../../batch/open-directories';
import { inDirectory } from '../../directory';
import { isErrno, StorageError } from '../../errors';
import { joinPath, pathText, splitPath, type PathBytes } from '../../path-bytes';
import { withSourceIn, type OpenSource } from '../../source';
import { openSnapshot, type OpenSnapshot } from '../metadata';
import { readRepository } from '../repository';
import { findSnapshot, readRecord, snapshotEntries } from '../snapshot-record';
import type { RestoreSelection, SnapshotSource } from './request';
import { requireTrustedRepository } from './trusted-repository';

/**
 * Opens the snapshot that a person means, if nothing on the way to it is a link.
 * @throws StorageError `RepositoryNotFound`, `RepositoryUnsupported`, `RepositoryNotTrusted`, `SnapshotNotFound`, `SnapshotDamaged`,
 *   `SourceNotCanonical`
 */
export function openWanted({ repositoryRoot, repository, snapshot, withOwners }: RestoreSelection): OpenSnapshot {
  readRepository(repository);
  const name = findSnapshot(repository, snapshot);
  inDirectory(repositoryRoot, join(repository, name), 'source', () => undefined);
  if (withOwners) requireTrustedRepository(repository, name);
  return openSnapshot(repository, name);
}

/** What stands for a file that is not in the snapshot as its metadata says. */
const damages = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ENAMETOOLONG', 'SourceNotRegularFile', 'SourceNotCanonical'];

/**
 * Opens the copy of a file in a snapshot, component by component and without following links: whoever wrote the
 * repository must not lead a restore elsewhere.
 * @param path of the file when it was backed up
 * @throws StorageError `SnapshotDamaged` when it is not there as a regular file, `SnapshotNotFound`, `DestinationGone`
 */
export function withCopy<T>(source: SnapshotSource, sources: OpenDirectories, path: PathBytes, calls: (copy: OpenSource) => T): T {
  const copy = joinPath(`${source.repository}/${source.snapshot}/${snapshotEntries.data}`, path.slice(1));
  const { directory, name } = splitPath(copy);
  let isOpen = false;
  try {
    return withSourceIn(sources.get(source.repositoryRoot, directory), name, pathText(copy), (opened) => {
      isOpen = true;
      return calls(opened);
    });
  } catch (error) {
    if (isOpen || !isErrno(error, ...damages)) throw error;
    requireSnapshot(source);
    throw damaged(pathText(copy), messageOf(error), error);
  }
}

export function damaged(path: string, why: string, cause?: unknown): StorageError {
  return new StorageError('SnapshotDamaged', 'source', path, `The snapshot's copy ${path} is damaged: ${why}`, {}, { cause });
}

/** A file that is missing may be missing with the whole disk, and that passes. */
function requireSnapshot({ repository, snapshot }: SnapshotSource): void {
  try {
    readRepository(repository);
  } catch (error) {
    if (!isErrno(error, 'RepositoryNotFound')) throw error;
    throw new StorageError('DestinationGone', 'source', repository, `Repository ${repository} is gone`, {}, { cause: error });
  }
  readRecord(repository, snapshot);
}
