import { allData } from '../../../core/data-share';
import type { TransferControl } from '../../control';
import { fromJsonPath, pathText } from '../../path-bytes';
import { snapshotEntries } from '../snapshot-record';
import { checkSnapshotPart } from './check-part';
import { planCheck } from './plan-check';
import type { Problem } from './problem';

export interface DamageRequest {
  readonly repository: string;
  readonly snapshot: string;
  /** Read every file back as well, rather than look at what is there. */
  readonly readData: boolean;
  /** Of `inodeMemory`: what snapshots share is read once. */
  readonly inodes: SharedArrayBuffer;
}

/**
 * Looks whether a snapshot can be restored: its records, and whether each copy is there as what it should be. What lies
 * beside the copies, modes and times do not matter for that, nor does the list for sha256sum.
 * @returns in words the first thing that is wrong; undefined for a sound snapshot
 * @throws StorageError `Cancelled`, errno names of the metadata itself
 */
export function findDamage({ repository, snapshot, readData, inodes }: DamageRequest, control: TransferControl): string | undefined {
  const share = readData ? allData : null;
  const { problems, sources, partEnds } = planCheck({ repository, snapshot, share }, control);
  const ofRecords = problems.find(isDamage);
  if (ofRecords !== undefined) return inWords(ofRecords);
  let start = 0;
  for (const end of partEnds) {
    const part = checkSnapshotPart({ repository, snapshot, sources, range: { start, end }, share, inodes }, control);
    const ofCopies = part.problems.find(isDamage);
    if (ofCopies !== undefined) return inWords(ofCopies);
    start = end;
  }
  return undefined;
}

const harmless: readonly Problem['kind'][] = ['extra', 'wrongMetadata'];

function isDamage({ kind, path }: Problem): boolean {
  return !harmless.includes(kind) && path !== snapshotEntries.checksums;
}

function inWords({ kind, path, expected, found }: Problem): string {
  return `${kind}: ${pathText(fromJsonPath(path))}: expected ${expected}, found ${found}`;
}
