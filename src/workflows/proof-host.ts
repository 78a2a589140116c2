import { workflowInfo, type Next, type WorkflowExecuteInput, type WorkflowInboundCallsInterceptor, type WorkflowInterceptors, type WorkflowOutboundCallsInterceptor } from '@temporalio/workflow';
import { BACKUP_BATCH_WORKFLOW, BACKUP_FILE_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW, SCHEDULED_SNAPSHOT_WORKFLOW } from '../core/names';
import { requireSigned } from '../proof/failures';
import { interceptors as ownInterceptors } from './proof';
import { startChild } from './proof-outbound';
import { demandSignedRun } from './proof-state';
import { endUnproven, unprovenRunWatch } from './unproven-run';

const OWN: readonly string[] = [BACKUP_FILE_WORKFLOW, BACKUP_BATCH_WORKFLOW, BACKUP_SNAPSHOT_WORKFLOW, RESTORE_SNAPSHOT_WORKFLOW, SCHEDULED_SNAPSHOT_WORKFLOW];

/**
 * In a worker of somebody else that has keys: backups ask for what they ask for everywhere. The host's own workflows, which
 * know nothing of purposes, get what is signed and nothing else, and may start backups.
 */
export function interceptors(): WorkflowInterceptors {
  if (!OWN.includes(workflowInfo().workflowType)) return { inbound: [inbound], outbound: [outbound], internals: [unprovenRunWatch] };
  demandSignedRun();
  return ownInterceptors();
}

const inbound: WorkflowInboundCallsInterceptor = {
  execute,
  // A signal has nobody who is told: what nobody vouches for has not come.
  handleSignal: (input, next) => (areSigned(input.args) ? next(input) : Promise.resolve()),
  validateUpdate: (input, next) => next({ ...input, args: requireSigned(input.args, 'The request') }),
  handleUpdate: async (input, next) => next({ ...input, args: requireSigned(input.args, 'The request') }),
  handleQuery: async (input, next) => next({ ...input, args: requireSigned(input.args, 'The question') }),
};

async function execute(input: WorkflowExecuteInput, next: Next<WorkflowInboundCallsInterceptor, 'execute'>): Promise<unknown> {
  let args: unknown[];
  try {
    args = requireSigned(input.args, 'The request');
  } catch (error) {
    return endUnproven(error, input, next);
  }
  return next({ ...input, args });
}

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
