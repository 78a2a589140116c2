import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { OWN_DIRECTORY } from '../../core/names';
import { inParent, OpenDirectory, using } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { MARK_NAME, markOf, refuseNested } from '../inside-repository';
import { makeOwnDirectory, makeTrusted } from '../make-directory';
import { parseRecord, readOwnFile, type OwnRecord } from '../records/own-file';
import { objectOf, oneOf, text } from '../records/shape';

/** The mark of a repository, in `.file-backup/repository.json`. */
export interface Repository {
  readonly formatVersion: number;
  readonly id: string;
  readonly createdAt: string;
}

/** The only one that there is. */
export const FORMAT_VERSION = 1;

/** Names in a repository's own directory. */
const INCOMING = 'incoming';
const REMOVED = 'removed';

const mark: OwnRecord<Repository> = {
  side: 'destination',
  maxBytes: 64 * 1024,
  shape: objectOf<Repository>({ formatVersion: oneOf(FORMAT_VERSION), id: text(100), createdAt: text(40) }),
  refuse: (path, why) => new StorageError('RepositoryUnsupported', 'destination', path, `The mark of a repository, ${path}, cannot be read: it ${why}`),
  format: { version: FORMAT_VERSION, refuse: (path, found) => new StorageError('RepositoryUnsupported', 'destination', path, `The repository of ${path} has format version ${found}; this program knows ${FORMAT_VERSION}`) },
};

/** Where snapshots are written before they are published. */
export function incomingDirectory(repository: string): string {
  return join(repository, OWN_DIRECTORY, INCOMING);
}

/** Where snapshots are moved to before they are deleted. */
export function removedDirectory(repository: string): string {
  return join(repository, OWN_DIRECTORY, REMOVED);
}

/**
 * Makes a directory a repository of snapshots; it may be there already, as long as nothing is in it. Only this ever makes
 * one: a disk that is not mounted is an error for every other command, and never a new repository in its place.
 * @throws StorageError `RepositoryExists`, `TargetInsideRepository`, `TargetInvalid` for a directory that holds something, errno names
 */
export function initRepository(path: string): Repository {
  return blaming('destination', path, () => {
    if (readMark(path) !== undefined) throw new StorageError('RepositoryExists', 'destination', path, `${path} is a repository already`);
    refuseNested(path);
    return using(openOrMake(path), (directory) => {
      requireEmpty(directory, path);
      const repository = { formatVersion: FORMAT_VERSION, id: randomUUID(), createdAt: new Date().toISOString() };
      using(makeOwnDirectory(directory), (own) => {
        for (const name of [INCOMING, REMOVED]) makeTrusted(own, name).close();
        const draft = own.entry(`.${randomUUID()}`);
        fs.writeFileSync(draft, `${JSON.stringify(repository, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });
        fs.renameSync(draft, own.entry(MARK_NAME));
        own.sync();
      });
      directory.sync();
      return repository;
    });
  });
}

function openOrMake(path: string): OpenDirectory {
  if (lstatIfPresent(path) !== undefined) return OpenDirectory.open('/', path, 'destination');
  return inParent('/', path, 'destination', makeTrusted);
}

function requireEmpty(directory: OpenDirectory, path: string): void {
  const inside = fs.readdirSync(directory.handle).filter((name) => name !== 'lost+found' && name !== OWN_DIRECTORY);
  if (inside.length > 0) throw new StorageError('TargetInvalid', 'destination', path, `Directory ${path} holds something already (${inside.slice(0, 3).join(', ')}): a repository is made in an empty one`);
}

/** @throws StorageError `RepositoryNotFound`, `RepositoryUnsupported`, errno names */
export function readRepository(path: string): Repository {
  const found = readMark(path);
  if (found === undefined) throw new StorageError('RepositoryNotFound', 'destination', path, `There is no repository in ${path}`);
  return found;
}

/** Nothing on the way to it may be a link: what it says must be said here. */
function readMark(path: string): Repository | undefined {
  const directory = join(path, OWN_DIRECTORY);
  try {
    const data = using(OpenDirectory.look(path, directory, 'destination'), (own) => readOwnFile(own.entry(MARK_NAME), mark, markOf(path)));
    return data && parseRecord(data.toString('utf8'), markOf(path), mark);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
