import { createHash } from 'node:crypto';
import type { BatchBackupInput } from './batch-models';
import { BACKUP_BATCH_WORKFLOW } from './core/names';
import type { FileBackupInput } from './models';
import type { RestoreInput } from './restore-models';
import type { SnapshotInput } from './snapshot-models';

/**
 * The workflow id of backups to one target: Temporal allows one run of an id at a time, which makes it the target's
 * lock. Hashed, because servers limit the length of ids and never encrypt them.
 * @param storage which storage the path belongs to: the host's queue, or the queue of workers that share it
 */
export function fileWorkflowId(storage: string, backupPath: string): string {
  return `file-backup-${sha256(`${storage}\0${backupPath}`).slice(0, 32)}`;
}

/**
 * The workflow id of a batch: the same list into the same directory is one run at a time, as is everything that is all or
 * nothing in a directory, since two of them could not both put back what was there before.
 * @param storage as in `fileWorkflowId`
 */
export function batchWorkflowId(storage: string, input: BatchBackupInput): string {
  const { backupDir, layout, onFailure } = input;
  const what = onFailure === 'rollBack' ? [] : [layout, listDigestOf(input)];
  return `file-backup-batch-${sha256([storage, backupDir, ...what].join('\0')).slice(0, 32)}`;
}

/** Digest of the sources, NUL after each: equal lists are known as equal however they travel. */
function listDigestOf({ sources, sourceList }: BatchBackupInput): string {
  return sourceList?.sha256 ?? sha256((sources ?? []).map((path) => `${path}\0`).join(''));
}

/** Equal for equal work, as `fingerprintOf`. */
export function batchFingerprintOf(input: BatchBackupInput): string {
  return fingerprintOf({ ...input, sources: undefined, sourceList: listDigestOf(input) });
}

/**
 * The workflow id of a snapshot: one at a time of a host's same sources into a repository.
 * @param storage as in `fileWorkflowId`
 */
export function snapshotWorkflowId(storage: string, { repository, host, sources }: SnapshotInput): string {
  return `file-backup-snapshot-${sha256([storage, repository, host, ...[...sources].sort()].join('\0')).slice(0, 32)}`;
}

/**
 * The workflow id of a restore: one at a time into a directory.
 * @param storage as in `fileWorkflowId`
 */
export function restoreWorkflowId(storage: string, { target }: RestoreInput): string {
  return `file-backup-restore-${sha256([storage, target].join('\0')).slice(0, 32)}`;
}

/** Equal for equal work: everything but the operation's own id. */
export function fingerprintOf<Input extends Pick<FileBackupInput, 'operationId' | 'metadata'>>({ operationId: _, metadata, ...input }: Input): string {
  return sha256(JSON.stringify([Object.entries(input).sort(byName), Object.entries(metadata).sort(byName)]));
}

/** As `fingerprintOf` and `batchFingerprintOf`, by workflow type, of input that may be anything. */
export function requestFingerprint(workflowType: string, input: object): string {
  const request = { metadata: {}, ...input };
  return workflowType === BACKUP_BATCH_WORKFLOW ? batchFingerprintOf(request as BatchBackupInput) : fingerprintOf(request as unknown as FileBackupInput);
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
