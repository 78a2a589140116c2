import { withoutContent } from '../core/error-message';
import { TransferControl } from './control';
import { errnoName, StorageError, type Side } from './errors';
import { steps, type StepName } from './steps';
import { acceptAnyDestination } from './trust';

/** For those who look into a thread at its work: each step is called through this table. */
export { steps };

/** What a thread is asked to do. */
export interface StepTask {
  readonly step: StepName;
  readonly input: unknown;
  readonly memory: SharedArrayBuffer;
  readonly trustDestinations: boolean;
}

/** Errors as data: structured cloning between threads keeps only an error's name, message and stack. */
export interface StepError {
  readonly code: string;
  readonly side: Side;
  readonly path: string;
  readonly message: string;
  readonly stack: string;
  readonly expected?: string;
  readonly found?: string;
}

export type StepAnswer = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: StepError };

/** Entry of a pool thread: runs one storage function with plain synchronous file calls. */
export default function runStep({ step, input, memory, trustDestinations }: StepTask): StepAnswer {
  acceptAnyDestination(trustDestinations);
  const run = steps[step] as (input: unknown, control: TransferControl) => unknown;
  try {
    return { ok: true, result: run(input, new TransferControl(memory)) };
  } catch (error) {
    return { ok: false, error: describe(error) };
  }
}

function describe(error: unknown): StepError {
  const { message, stack = '' } = withoutContent(error);
  if (error instanceof StorageError) return { code: error.code, side: error.side, path: error.path, message, stack, ...error.found };
  return { code: errnoName(error) ?? 'UnexpectedError', side: 'destination', path: '', message, stack };
}
