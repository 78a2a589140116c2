import { workflowInfo } from '@temporalio/workflow';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_PATH_CHARACTERS = 4096;

/** Until the first step has parsed it, input may be anything at all: what a record shows of it is made fit for that. */
export function presentablePath(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_PATH_CHARACTERS) : '';
}

export function presentableOperationId(value: unknown): string {
  return typeof value === 'string' && UUID.test(value) ? value : workflowInfo().runId;
}
