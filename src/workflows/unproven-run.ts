import { patched, type Next, type WorkflowExecuteInput, type WorkflowInboundCallsInterceptor, type WorkflowInternalsInterceptor } from '@temporalio/workflow';
import { handOutOriginals, originalOf } from '../proof/payload-converter';

/** Stands in a history where the run was refused: up to there it is replayed. */
const REFUSED = 'refused for want of a proof';

/** Ends the run that is being replayed; undefined for any other run. Of this run: the sandbox has a module of its own for each. */
let refuse: (() => void) | undefined;

/**
 * Ends a run whose request is not proven. One that somebody else's worker has brought some way before is replayed up to where
 * it stands, by the values that it had then: anything else would contradict its history, and be tried for ever. As soon as
 * something new is to be done it ends, before anything is looked at or asked for.
 * @param refusal what it ends with
 */
export async function endUnproven(refusal: unknown, input: WorkflowExecuteInput, next: Next<WorkflowInboundCallsInterceptor, 'execute'>): Promise<unknown> {
  if (patched(REFUSED)) throw refusal;
  const refused = new Promise<void>((resolve) => (refuse = resolve)).then(() => Promise.reject(refusal as Error));
  handOutOriginals();
  return Promise.race([refused, next({ ...input, args: input.args.map(originalOf) })]);
}

/** Looks out for the moment at which a run that is not proven would go on. Questions move nothing. */
export const unprovenRunWatch: WorkflowInternalsInterceptor = {
  activate(input, next) {
    const isWork = input.activation.jobs?.some(({ queryWorkflow }) => !queryWorkflow);
    if (refuse === undefined || !isWork || !patched(REFUSED)) next(input);
    else refuse();
  },
};
