import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { OWN_DIRECTORY } from '../../core/names';
import { parseJson } from '../../core/parse-json';
import { inParent, OpenDirectory, using } from '../directory';
import { blaming, isErrno, StorageError } from '../errors';
import { lstatIfPresent } from '../file-stat';
import { MARK_NAME, markOf, refuseNested } from '../inside-repository';
import { makeOwnDirectory, makeTrusted } from '../make-directory';

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
  const mark = blaming('destination', path, () => readMark(path));
  if (mark === undefined) {
    throw new StorageError('RepositoryNotFound', 'destination', path, `There is no repository in ${path}`);
  }
  if (mark.formatVersion === FORMAT_VERSION) return mark;
  throw new StorageError('RepositoryUnsupported', 'destination', path, `Repository ${path} has ${Number.isInteger(mark.formatVersion) ? `format version ${mark.formatVersion}` : 'no format version'}; this program knows ${FORMAT_VERSION}`);
}

function readMark(path: string): Repository | undefined {
  try {
    return parseJson(fs.readFileSync(markOf(path), 'utf8')) as Repository;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    if (error instanceof SyntaxError) throw new StorageError('RepositoryUnsupported', 'destination', path, `The mark of repository ${path} cannot be read: ${error.message}`, {}, { cause: error });
    throw error;
  }
}
