import { joinPath, toJsonPath, type JsonPath, type PathBytes } from '../../path-bytes';
import { snapshotEntries } from '../snapshot-record';

/** What can be wrong with something in a snapshot. */
export const problemKinds = ['damaged', 'missing', 'extra', 'wrongType', 'wrongMetadata', 'unreadable', 'badRecord'] as const;

/**
 * - `damaged`: a file that holds other bytes than it should
 * - `missing`: not there
 * - `extra`: there, although the snapshot does not know it
 * - `wrongType`: something else is in its place
 * - `wrongMetadata`: mode, modification time, target of a link, or which names are one file
 * - `unreadable`: the system refuses to say
 * - `badRecord`: one of the files that say what should be there
 */
export type ProblemKind = (typeof problemKinds)[number];

export interface Problem {
  readonly kind: ProblemKind;
  readonly snapshot: string;
  /** Below the snapshot's directory, as in SHA256SUMS: `data/home/alice/a.txt`. */
  readonly path: JsonPath;
  readonly expected: string;
  readonly found: string;
}

/** Where the copy of an entry is, below the snapshot's directory. */
export function dataPath(path: PathBytes): PathBytes {
  const { data } = snapshotEntries;
  if (path === '/') return data;
  return typeof path === 'string' ? `${data}${path}` : Buffer.concat([Buffer.from(data), path]);
}

/** Where the copy of an entry is, as an absolute path. */
export function copyOf(snapshotDirectory: string, path: PathBytes): PathBytes {
  return joinPath(snapshotDirectory, dataPath(path));
}

export function problem(kind: ProblemKind, snapshot: string, path: PathBytes, expected: string, found: string): Problem {
  return { kind, snapshot, path: toJsonPath(path), expected, found };
}
