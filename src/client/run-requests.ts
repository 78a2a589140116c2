import type { BatchBackupInput } from '../batch-models';
import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW } from '../core/names';
import { codeSpan, pathSpan } from '../core/markdown';
import type { FileBackupInput } from '../models';
import type { RestoreInput } from '../restore-models';
import type { SnapshotInput } from '../snapshot-models';
import { batchFingerprintOf, batchWorkflowId, fileWorkflowId, fingerprintOf, restoreWorkflowId, snapshotWorkflowId } from '../workflow-ids';
import type { RunRequest } from './start-run';

/** What is the same for all kinds of runs: whose storage it is, and whether the operation may have been sent before. */
export interface RequestContext {
  readonly storage: string;
  readonly mayBeRepeated: boolean;
}

/** How the backup of a file is started. */
export function fileRequest(input: FileBackupInput, { storage, mayBeRepeated }: RequestContext): RunRequest {
  const { sourcePath, backupPath, operationId, metadata, atomic } = input;
  return {
    workflowType: BACKUP_FILE_WORKFLOW,
    workflowId: fileWorkflowId(storage, backupPath),
    memo: { operationId, fingerprint: fingerprintOf(input), sourcePath, backupPath, metadata },
    args: [input],
    summary: `${pathSpan(sourcePath)} → ${pathSpan(backupPath)}`,
    details: `Operation ${codeSpan(operationId)}${atomic ? '' : ', in place (not atomic)'}`,
    mayBeRepeated,
  };
}

/** How a batch is started. */
export function batchRequest(input: BatchBackupInput, { storage, mayBeRepeated }: RequestContext): RunRequest {
  const { backupDir, operationId, metadata, sources, sourceList, layout, onFailure } = input;
  const count = sources?.length ?? sourceList?.entries;
  const files = count === undefined ? 'a list of files' : `${count} file${count === 1 ? '' : 's'}`;
  return {
    workflowType: BACKUP_BATCH_WORKFLOW,
    workflowId: batchWorkflowId(storage, input),
    memo: { operationId, fingerprint: batchFingerprintOf(input), sourcePath: files, backupPath: backupDir, metadata },
    args: [input, { storage }],
    summary: `${files} → ${pathSpan(backupDir)}`,
    details: `Operation ${codeSpan(operationId)}, layout ${layout}${onFailure === 'rollBack' ? ', all or nothing' : ''}`,
    mayBeRepeated,
  };
}

/** Sources that are named in a summary; memos and summaries are small. */
const NAMED_SOURCES = 3;
const MAX_NAMES = 200;

/** How a snapshot is started. */
export function snapshotRequest(input: SnapshotInput, { storage, mayBeRepeated }: RequestContext): RunRequest {
  const { repository, operationId, metadata, sources, host, tags } = input;
  const names = sources.slice(0, NAMED_SOURCES).join(', ').slice(0, MAX_NAMES);
  const named = sources.length > NAMED_SOURCES ? `${names}, …` : names;
  return {
    workflowType: BACKUP_SNAPSHOT_WORKFLOW,
    workflowId: snapshotWorkflowId(storage, input),
    memo: { operationId, fingerprint: fingerprintOf(input), sourcePath: named, backupPath: repository, metadata },
    args: [input],
    summary: `${pathSpan(named)} → ${pathSpan(repository)}`,
    details: `Operation ${codeSpan(operationId)}, host ${codeSpan(host)}${tags.length > 0 ? `, tags ${tags.map(codeSpan).join(', ')}` : ''}`,
    mayBeRepeated,
  };
}

/** How a restore is started. */
export function restoreRequest(input: RestoreInput, { storage, mayBeRepeated }: RequestContext): RunRequest {
  const { repository, snapshot, target, operationId, metadata, paths } = input;
  const named = `${repository} ${snapshot}${paths.length > 0 ? `: ${paths.join(', ').slice(0, MAX_NAMES)}` : ''}`;
  return {
    workflowType: RESTORE_SNAPSHOT_WORKFLOW,
    workflowId: restoreWorkflowId(storage, input),
    memo: { operationId, fingerprint: fingerprintOf(input), sourcePath: named, backupPath: target, metadata },
    args: [input],
    summary: `${pathSpan(named)} → ${pathSpan(target)}`,
    details: `Operation ${codeSpan(operationId)}, restore`,
    mayBeRepeated,
  };
}
