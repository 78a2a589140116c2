import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW, SCHEDULED_SNAPSHOT_WORKFLOW } from '../core/names';

/** What a run does, as people say it; `schedule`: one time of a schedule, with its pruning and check. */
export type RunKind = 'file' | 'batch' | 'snapshot' | 'restore' | 'schedule';

/** Workflow types of what people start, or a schedule does. */
const kinds: Readonly<Record<string, RunKind>> = {
  [BACKUP_FILE_WORKFLOW]: 'file',
  [BACKUP_BATCH_WORKFLOW]: 'batch',
  [BACKUP_SNAPSHOT_WORKFLOW]: 'snapshot',
  [RESTORE_SNAPSHOT_WORKFLOW]: 'restore',
  [SCHEDULED_SNAPSHOT_WORKFLOW]: 'schedule',
};

/** Undefined for workflows of others. */
export function kindOf(workflowType: string): RunKind | undefined {
  return Object.hasOwn(kinds, workflowType) ? kinds[workflowType] : undefined;
}

/** Whether a run reports progress in files, and can be paused. */
export function isOfManyFiles(kind: RunKind): boolean {
  return kind === 'batch' || kind === 'snapshot' || kind === 'restore';
}

/** What people or schedules have started: files that a batch tries again by themselves are the batch's. An execution that continued as new is part of the next one. */
const ownRuns = `(ParentWorkflowId IS NULL OR WorkflowType = '${BACKUP_SNAPSHOT_WORKFLOW}') AND ExecutionStatus != 'ContinuedAsNew'`;

/** Queries for listings. */
export const fileRuns = `WorkflowType = '${BACKUP_FILE_WORKFLOW}' AND ${ownRuns}`;
export const batchRuns = `WorkflowType = '${BACKUP_BATCH_WORKFLOW}' AND ${ownRuns}`;
export const snapshotRuns = `WorkflowType = '${BACKUP_SNAPSHOT_WORKFLOW}' AND ${ownRuns}`;
export const allRuns = `WorkflowType IN (${Object.keys(kinds).map((type) => `'${type}'`).join(', ')}) AND ${ownRuns}`;
