import { ApplicationFailure, type Context } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor, ActivityInterceptorsFactory } from '@temporalio/worker';
import { messageOf } from '../core/error-message';
import { rootOf } from '../core/roots';
import { failure, failureKinds, isFailureType } from '../failures';
import type { Batch } from './batch-steps';
import type { Operation } from './operation';
import type { DestinationBreakers } from './breakers';
import type { RestorePlan } from './restore-steps';
import type { SnapshotPlan } from './snapshot-steps';

/** Steps that use the destination on the way forward: they ask first. Undo and commit never wait for a breaker. */
const guarded: readonly string[] = ['prepareStaging', 'stageFile', 'verifyFile', 'publishFile', 'writeTarget', 'verifyTarget', 'backupChunk', 'snapshotChunk', 'restoreChunk'];

/** The look at both ends before anything is used; undo and commit, which clean up what opened the circuit: they only report. */
const reporting: readonly string[] = ['inspectFile', 'unpublishFile', 'discardStaging', 'finalizeFile', 'planBatch', 'amendChunk', 'undoChunks', 'sealRun', 'planSnapshot', 'sealSnapshot', 'planRestore', 'finishRestore', 'closeRestore'];

/** The steps whose success means that an operation succeeded. */
const successful: readonly string[] = ['publishFile', 'writeTarget', 'backupChunk', 'snapshotChunk', 'restoreChunk'];

interface Dependencies {
  readonly breakers: DestinationBreakers;
  readonly destinationRoots: readonly string[];
  /** Rejects when the destination does not take a few bytes. */
  readonly probe: (root: string) => Promise<void>;
}

/** Puts a circuit breaker per destination around the activities. */
export function breakerInterceptor(dependencies: Dependencies): ActivityInterceptorsFactory {
  return (context) => ({ inbound: guard(context, dependencies) });
}

function guard(context: Context, { breakers, destinationRoots, probe }: Dependencies): ActivityInboundCallsInterceptor {
  const step = context.info.activityType;
  return {
    async execute(input, next) {
      const path = targetOf(input.args[0]);
      const destination = path === undefined ? undefined : rootOf(destinationRoots, path);
      if (destination === undefined || ![...guarded, ...reporting].includes(step)) return next(input);
      if (guarded.includes(step)) await enter(destination, context, breakers, probe);
      try {
        const result = await next(input);
        if (successful.includes(step)) breakers.succeeded(destination);
        return result;
      } catch (error) {
        if (isFinalBlame(error, context, input.args[0])) breakers.failed(destination);
        throw error;
      }
    },
  };
}

/** What steps are about, as they are asked for. */
interface Subject {
  readonly operation?: Operation;
  readonly batch?: Batch;
  readonly snapshot?: SnapshotPlan;
  readonly restore?: RestorePlan;
  readonly input?: { readonly backupPath?: unknown; readonly backupDir?: unknown; readonly target?: unknown; readonly repository?: unknown } | null;
}

/** The target that a step is about. The first step's input has not been parsed yet: it may be anything. */
function targetOf(argument: unknown): string | undefined {
  const { operation, batch, snapshot, restore, input } = (argument ?? {}) as Subject;
  const path = operation?.input.backupPath ?? (batch ?? snapshot ?? restore)?.location.destination ?? input?.backupPath ?? input?.backupDir ?? input?.target ?? input?.repository;
  return typeof path === 'string' ? path : undefined;
}

/** @throws ApplicationFailure `CircuitOpen` */
async function enter(destination: string, context: Context, breakers: DestinationBreakers, probe: Dependencies['probe']): Promise<void> {
  const admission = breakers.admit(destination);
  if (admission.kind === 'allow') return;
  if (admission.kind === 'reject') throw circuitOpen(destination, admission.retryAfterMs, context);
  try {
    await probe(destination);
    breakers.probeFinished(destination, true);
  } catch (error) {
    breakers.probeFinished(destination, false);
    throw circuitOpen(destination, breakers.recoveryTimeoutMs, context, error);
  }
}

/** The attempt that was turned away is not one of the operation's attempts: its number is given less one. */
function circuitOpen(destination: string, retryAfterMs: number, { info }: Context, cause?: unknown): ApplicationFailure {
  const reason = cause === undefined ? '' : `; the last probe failed: ${messageOf(cause)}`;
  return failure('CircuitOpen', `The circuit of destination ${destination} is open${reason}`, { path: destination, retryAfterMs, attempt: info.attempt - 1 });
}

/** Operations count, not attempts: only the failure that ends a step for good, and only if it blames the destination. */
function isFinalBlame(error: unknown, { info }: Context, input: unknown): boolean {
  if (!(error instanceof ApplicationFailure) || !isFailureType(error.type) || !failureKinds[error.type].blamesDestination) return false;
  if (error.type === 'ChecksumMismatch') return (input as { finalCycle?: boolean }).finalCycle === true;
  return error.nonRetryable === true || info.attempt >= (info.retryPolicy?.maximumAttempts || Infinity);
}
