import { join } from 'node:path';
import type { TransferControl } from '../../control';
import { OpenDirectories } from '../../batch/open-directories';
import { errnoName, StorageError } from '../../errors';
import { lstatIfPresent } from '../../file-stat';
import { bytewise, splitPath, type PathBytes } from '../../path-bytes';
import type { FoundCopy } from '../check/check-entry';
import { copyOf } from '../check/problem';
import { sharedName } from '../entry';
import { openSnapshot } from '../metadata';

/** A name in the repository that may be of a certain file. */
export interface NamedCopy {
  readonly snapshot: string;
  /** As the snapshot's metadata has it. */
  readonly path: PathBytes;
  /** Of a further name the one whose copy it shares. */
  readonly firstName?: PathBytes | undefined;
}

/**
 * Where files with wanted digests should be, in all snapshots of a repository whose metadata is intact. Memory grows
 * with the names of wanted files only.
 */
export class RepositoryNames {
  private readonly byDigest = new Map<string, NamedCopy[]>();
  private readonly directories = new OpenDirectories('source');

  constructor(
    private readonly repository: string,
    private readonly snapshots: readonly string[],
    wanted: Iterable<string>,
    private readonly control: TransferControl,
  ) {
    for (const sha256 of wanted) this.byDigest.set(sha256, []);
    if (this.byDigest.size > 0) for (const snapshot of snapshots) this.collect(snapshot);
  }

  /** All names that may be of a file: the same path in every snapshot first, then whatever has the digest. */
  *of(path: PathBytes, sha256: string): Generator<NamedCopy> {
    for (const snapshot of this.snapshots) yield { snapshot, path };
    const key = bytewise(path);
    for (const name of this.byDigest.get(sha256) ?? []) if (bytewise(name.path) !== key) yield name;
  }

  /** What a name stands for, without following a link. Undefined when that cannot be told. To be used before the next one is looked for. */
  find({ snapshot, path }: NamedCopy): FoundCopy | undefined {
    const { directory, name } = splitPath(copyOf(join(this.repository, snapshot), path));
    try {
      const copy = this.directories.get(this.repository, directory).entry(name);
      const stats = lstatIfPresent(copy);
      return stats && { path: copy, stats };
    } catch (error) {
      if (errnoName(error) === undefined) throw error;
      return undefined;
    }
  }

  /** Absolute path of a name. */
  pathOf({ snapshot, path }: NamedCopy): PathBytes {
    return copyOf(join(this.repository, snapshot), path);
  }

  close(): void {
    this.directories.close();
  }

  private collect(snapshot: string): void {
    try {
      for (const { path, entry } of openSnapshot(this.repository, snapshot).entries()) {
        this.control.throwIfCancelled();
        if (entry.type === 'file' && entry.state !== 'failed') this.byDigest.get(entry.sha256)?.push({ snapshot, path, firstName: sharedName(entry) });
      }
    } catch (error) {
      if (!(error instanceof StorageError) || error.code === 'Cancelled') throw error;
      // Its own problem, and said as such: the others may help all the same.
    }
  }
}
