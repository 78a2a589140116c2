import { absoluteText, identifier, readFrom, sha256, someText } from '../records/fields';
import { arrayOf, mapOf, nullable, objectOf, oneOf, optional, text, wholeNumber, type Shape } from '../records/shape';
import { damagedCopies } from './damaged-copies';
import { planFailure } from './planned-snapshot';
import { FORMAT_VERSION } from './repository';
import type { SnapshotCounts, SnapshotRecord } from './snapshot-record';

/** A record with the digest of itself. */
export interface SelfDigested extends SnapshotRecord {
  readonly sha256: string;
}

const MOST_PATHS = 100_000;
const count = wholeNumber();

const counts: Shape<SnapshotCounts> = objectOf<SnapshotCounts>({
  files: count,
  directories: count,
  symlinks: count,
  specials: count,
  newFiles: count,
  changedFiles: count,
  unchangedFiles: count,
  failed: count,
  vanished: count,
  excluded: count,
  sizeBytes: count,
  copiedBytes: count,
});

/** `2026-01-31T23:59:59.000Z` */
const time = text(40, /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);

/** `snapshot.json`. */
export const snapshotRecord: Shape<SelfDigested> = objectOf<SelfDigested>({
  formatVersion: oneOf(FORMAT_VERSION),
  name: text(100),
  id: text(100),
  host: text(1000),
  sources: arrayOf(absoluteText, MOST_PATHS),
  tags: arrayOf(someText, 100_000),
  startedAt: time,
  endedAt: time,
  status: oneOf('complete', 'partial'),
  parent: nullable(text(100)),
  emptied: optional(arrayOf(planFailure, MOST_PATHS)),
  counts,
  verifiedFrom: nullable(readFrom),
  leftOut: arrayOf(someText, MOST_PATHS),
  notKept: arrayOf(text(100), 100),
  damagedCopies: optional(damagedCopies),
  workflowId: identifier,
  runId: identifier,
  operationId: identifier,
  metadata: mapOf(someText, 1000),
  programVersion: text(100),
  metadataSha256: sha256,
  checksumsSha256: nullable(sha256),
  sha256,
});
