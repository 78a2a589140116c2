import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join, relative } from 'node:path';
import { isInShare, type DataShare } from '../../../core/data-share';
import type { TransferControl } from '../../control';
import { inDirectory, type OpenDirectory } from '../../directory';
import { blaming, StorageError } from '../../errors';
import { kindOf, lstatIfPresent } from '../../file-stat';
import { joinPath, pathOf, pathText, type PathBytes } from '../../path-bytes';
import { readBack, type ReadFrom } from '../../read-back';
import { checksumLine } from '../checksum-line';
import { openSnapshot, type OpenSnapshot } from '../metadata';
import { snapshotEntries, type SnapshotRecord } from '../snapshot-record';
import { dataPath, problem, type Problem, type ProblemKind } from './problem';

/** Entries of one part: enough to be worth a call to a thread, few enough for all threads to end at about the same time. */
const PART_ENTRIES = 2_000;
/** Or this much to read. */
const PART_BYTES = 128 * 1024 * 1024;

export interface CheckPlanRequest {
  readonly repository: string;
  readonly snapshot: string;
  readonly share: DataShare | null;
}

/** What there is to check in a snapshot. */
export interface CheckPlan {
  /** What is wrong with its records; with a record that is damaged there is nothing else to go by, and no part. */
  readonly problems: readonly Problem[];
  readonly sources: readonly string[];
  /** Ends of the parts in the metadata; each part begins where the one before it ends. */
  readonly partEnds: readonly number[];
  readonly entries: number;
  readonly files: number;
  readonly shareFiles: number;
  readonly shareBytes: number;
}

/**
 * Checks what says what should be in a snapshot: its record, its metadata and its list for sha256sum against their digests
 * and each other, and that nothing else stands beside them. Divides the entries into parts for `checkSnapshotPart`.
 * @throws StorageError `Cancelled`
 */
export function planCheck(request: CheckPlanRequest, control: TransferControl): CheckPlan {
  const directory = join(request.repository, request.snapshot);
  const problems: Problem[] = [];
  const report: Report = (kind, path, expected, found) => void problems.push(problem(kind, request.snapshot, path, expected, found));
  const stats = lstatIfPresent(directory);
  if (stats?.isDirectory() !== true) {
    report('wrongType', '.', 'a directory', stats === undefined ? 'nothing' : kindOf(stats));
    return { problems, ...nothingToCheck };
  }
  const prefer = request.share === null ? 'cache' : 'device';
  const snapshot = trying(report, directory, () => openFrom(prefer, request, control));
  if (snapshot === undefined) return { problems, ...nothingToCheck };
  const division = trying(report, directory, () => divide(snapshot, request.share, control));
  if (division === undefined) return { problems, ...nothingToCheck };
  const { checksumsSha256, ...plan } = division;
  trying(report, directory, () =>
    inDirectory(request.repository, directory, 'source', (opened) => {
      checkNames(opened, snapshot.record, report);
      checkChecksums(opened, snapshot.record, checksumsSha256, () => readBack(opened.entry(snapshotEntries.checksums), prefer, control).sha256, report);
    }),
  );
  return { problems, sources: snapshot.record.sources, ...plan };
}

type Report = (kind: ProblemKind, path: PathBytes, expected: string, found: string) => void;

/** Nothing is trusted that nothing vouches for. */
const END = '; nothing else of the snapshot can be checked';

const nothingToCheck = { sources: [], partEnds: [], entries: 0, files: 0, shareFiles: 0, shareBytes: 0 };

/** Undefined when a record does not let itself be read as what it should be: that is reported. */
function trying<T>(report: Report, directory: string, calls: () => T): T | undefined {
  try {
    return blaming('source', directory, calls);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code === 'Cancelled') throw error;
    const path = relative(directory, error.path) || '.';
    if (error.code === 'SnapshotDamaged') report('badRecord', path, 'what its digest says', `other bytes${END}`);
    else if (error.code === 'RepositoryUnsupported') report('badRecord', path, 'a format that this program knows', `another one${END}`);
    else if (error.code === 'SnapshotNotFound' || error.code === 'ENOENT') report('badRecord', path, 'a regular file', `nothing${END}`);
    else report('unreadable', path, 'a regular file', error.code);
    return undefined;
  }
}

function openFrom(prefer: ReadFrom, { repository, snapshot: name }: CheckPlanRequest, control: TransferControl): OpenSnapshot {
  const snapshot = openSnapshot(repository, name);
  const path = join(snapshot.directory, snapshotEntries.metadata);
  if (prefer === 'cache' || blaming('source', path, () => readBack(path, prefer, control)).sha256 === snapshot.record.metadataSha256) return snapshot;
  throw new StorageError('SnapshotDamaged', 'source', path, `${path} is damaged on its device`);
}

/** Goes through the metadata once: parts, counts, and the digest that SHA256SUMS must have. */
function divide(snapshot: OpenSnapshot, share: DataShare | null, control: TransferControl) {
  const counts = { entries: 0, files: 0, shareFiles: 0, shareBytes: 0 };
  const partEnds: number[] = [];
  const hash = createHash('sha256');
  let part = { entries: 0, sizeBytes: 0 };
  for (const { path, offset, entry } of snapshot.entries()) {
    control.throwIfCancelled();
    if (part.entries >= PART_ENTRIES || part.sizeBytes >= PART_BYTES) {
      partEnds.push(offset);
      part = { entries: 0, sizeBytes: 0 };
    }
    counts.entries += 1;
    part.entries += 1;
    if (entry.type !== 'file' || entry.state === 'failed') continue;
    counts.files += 1;
    hash.update(checksumLine(entry.sha256, dataPath(path)));
    if (share === null || !isInShare(share, entry.sha256)) continue;
    counts.shareFiles += 1;
    counts.shareBytes += entry.sizeBytes;
    part.sizeBytes += entry.sizeBytes;
  }
  if (part.entries > 0) partEnds.push(Number.MAX_SAFE_INTEGER);
  return { partEnds, ...counts, checksumsSha256: counts.files === 0 ? null : hash.digest('hex') };
}

function checkNames(directory: OpenDirectory, record: SnapshotRecord, report: Report): void {
  const { checksums, ...others } = snapshotEntries;
  const known: PathBytes[] = [...Object.values(others), ...(record.checksumsSha256 === null ? [] : [checksums])];
  for (const bytes of fs.readdirSync(directory.entry('.'), 'buffer')) {
    const name = pathOf(bytes);
    if (known.includes(name)) continue;
    const stats = lstatIfPresent(directory.entry(name));
    if (stats !== undefined) report('extra', name, 'nothing', kindOf(stats));
  }
}

/** @param sha256 of the list as the metadata would have it */
function checkChecksums(directory: OpenDirectory, record: SnapshotRecord, sha256: string | null, read: () => string, report: Report): void {
  const name = snapshotEntries.checksums;
  if (record.checksumsSha256 !== sha256) return report('badRecord', name, `the files of ${snapshotEntries.metadata}`, 'others');
  if (sha256 === null) return;
  const stats = lstatIfPresent(directory.entry(name));
  if (stats?.isFile() !== true) return report('badRecord', name, 'a regular file', stats === undefined ? 'nothing' : kindOf(stats));
  const found = blaming('source', pathText(joinPath(directory.path, name)), read);
  if (found !== sha256) report('badRecord', name, `sha256 ${sha256}`, `sha256 ${found}`);
}
