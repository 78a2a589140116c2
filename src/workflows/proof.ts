import type { WorkflowInterceptors } from '@temporalio/workflow';
import { inbound } from './proof-inbound';
import { outbound } from './proof-outbound';
import { unprovenRunWatch } from './unproven-run';

/**
 * Stands between workflows and everything that comes from outside: bodies see plain values, and only of what was made
 * for this very run. A run whose input is not signed, which only a worker without a key lets in, is left as it is.
 */
export function interceptors(): WorkflowInterceptors {
  return { inbound: [inbound], outbound: [outbound], internals: [unprovenRunWatch] };
}
