import { workflowInfo, type WorkflowInboundCallsInterceptor, type WorkflowInterceptors, type WorkflowOutboundCallsInterceptor } from '@temporalio/workflow';
import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW, SCHEDULED_SNAPSHOT_WORKFLOW } from '../core/names';
import { requireSigned } from '../proof/failures';
import { interceptors as ownInterceptors } from './proof';
import { startChild } from './proof-outbound';
import { demandSignedRun } from './proof-state';

const OWN: readonly string[] = [BACKUP_FILE_WORKFLOW, BACKUP_BATCH_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW, SCHEDULED_SNAPSHOT_WORKFLOW];

/**
 * In a worker of somebody else that has keys: backups ask for what they ask for everywhere. The host's own workflows, which
 * know nothing of purposes, get what is signed and nothing else, and may start backups.
 */
export function interceptors(): WorkflowInterceptors {
  if (!OWN.includes(workflowInfo().workflowType)) return { inbound: [inbound], outbound: [outbound] };
  demandSignedRun();
  return ownInterceptors();
}

const inbound: WorkflowInboundCallsInterceptor = {
  // A promise in each case: what is thrown outside of one fails the task, which is tried for ever, and not the run.
  execute: async (input, next) => next({ ...input, args: requireSigned(input.args, 'The request') }),
  // A signal has nobody who is told: what nobody vouches for has not come.
  handleSignal: (input, next) => (areSigned(input.args) ? next(input) : Promise.resolve()),
  validateUpdate: (input, next) => next({ ...input, args: requireSigned(input.args, 'The request') }),
  handleUpdate: async (input, next) => next({ ...input, args: requireSigned(input.args, 'The request') }),
  handleQuery: async (input, next) => next({ ...input, args: requireSigned(input.args, 'The question') }),
};

const outbound: WorkflowOutboundCallsInterceptor = {
  async scheduleActivity(input, next) {
    const [result] = requireSigned([await next(input)], `The result of ${input.activityType}`);
    return result;
  },

  async startChildWorkflowExecution(input, next) {
    if (OWN.includes(input.workflowType)) return startChild(input, next);
    const [started, completed] = await next(input);
    const result = completed.then((value) => requireSigned([value], `The result of ${input.workflowType}`)[0]);
    result.catch(() => undefined);
    return [started, result];
  },
};

function areSigned(args: unknown[]): boolean {
  try {
    return requireSigned(args, 'The signal').length === args.length;
  } catch {
    return false;
  }
}
