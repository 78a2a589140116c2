import { parseJson } from '../core/parse-json';
import type { Admission } from '../keys/payload-codec';
import { requestFingerprint } from '../workflow-ids';

/** The one request that a worker of a single command serves. */
export interface ServedRequest {
  readonly workflowType: string;
  readonly workflowId: string;
  /** What is asked for: equal for equal work, whatever the operation is called. */
  readonly input: unknown;
}

/**
 * Admits the run of one request, the executions that it goes on in, the runs that it starts itself, and the steps of all
 * of these; nothing else, though it be signed.
 */
export function onlyRequest({ workflowType, workflowId, input }: ServedRequest): Admission {
  const fingerprint = fingerprintOf(workflowType, input);
  return (purpose, payload, context) => {
    const isOwn = context?.workflowId === workflowId;
    switch (purpose.kind) {
      case 'start':
        if (!isOwn || purpose.workflowType !== workflowType) return ANOTHER;
        return purpose.index !== 0 || fingerprintOf(workflowType, parsed(payload.data)) === fingerprint ? undefined : ANOTHER;
      case 'continued':
        return isOwn && purpose.workflowType === workflowType ? undefined : ANOTHER;
      case 'scheduled':
        return ANOTHER;
      case 'child':
        return purpose.parentWorkflowId === workflowId ? undefined : ANOTHER;
      case 'step':
        return isOwn || purpose.parentWorkflowId === workflowId ? undefined : ANOTHER;
      default:
        return undefined;
    }
  };
}

const ANOTHER = 'is another one than this worker was started for';

function fingerprintOf(workflowType: string, input: unknown): string {
  return requestFingerprint(workflowType, parsed(Buffer.from(JSON.stringify(input))));
}

/** As it looks on the other side of the server. */
function parsed(data: Uint8Array | null | undefined): object {
  const value: unknown = parseJson(Buffer.from(data ?? []).toString() || 'null');
  return typeof value === 'object' && value !== null ? value : {};
}
