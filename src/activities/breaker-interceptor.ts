import { ApplicationFailure, type Context } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor, ActivityInterceptorsFactory } from '@temporalio/worker';
import { messageOf } from '../core/error-message';
import { rootOf } from '../core/roots';
import { failure, failureKinds, isFailureType } from '../failures';
import { attemptsSoFar, isLastAttempt } from './attempts';
import type { DestinationBreakers } from './breakers';
import { parseRequest, type ActivityName, type Request } from './requests';

/** Steps that use the destination on the way forward: they ask first. Undo and commit never wait for a breaker. */
const guarded: readonly ActivityName[] = ['prepareStaging', 'stageFile', 'verifyFile', 'publishFile', 'writeTarget', 'verifyTarget', 'backupChunk', 'snapshotChunk', 'restoreChunk'];

/** The look at both ends before anything is used; undo and commit, which clean up what opened the circuit: they only report. */
const reporting: readonly ActivityName[] = ['inspectFile', 'unpublishFile', 'discardStaging', 'finalizeFile', 'planBatch', 'amendChunk', 'undoChunks', 'sealRun', 'planSnapshot', 'sealSnapshot', 'planRestore', 'finishRestore', 'closeRestore'];

/** The steps whose success means that an operation succeeded. */
const successful: readonly ActivityName[] = ['publishFile', 'writeTarget', 'backupChunk', 'snapshotChunk', 'restoreChunk'];

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
  const step = [...guarded, ...reporting].find((name) => name === context.info.activityType);
  return {
    async execute(input, next) {
      const request = step && requestOf(step, input.args);
      const path = request && destinationOf(request);
      const destination = path === undefined ? undefined : rootOf(destinationRoots, path);
      if (step === undefined || destination === undefined) return next(input);
      if (guarded.includes(step)) await enter(destination, context, breakers, probe);
      try {
        const result = await next(input);
        if (successful.includes(step)) breakers.succeeded(destination);
        return result;
      } catch (error) {
        if (isFinalBlame(error, context, request)) breakers.failed(destination);
        throw error;
      }
    },
  };
}

/** Undefined for what the activity itself refuses: it says nothing of a destination. */
function requestOf(step: ActivityName, args: readonly unknown[]): Request<ActivityName> | undefined {
  try {
    return parseRequest(step, args, 1);
  } catch {
    return undefined;
  }
}

/** The target that a step is about, or the directory that holds it. */
function destinationOf(request: Request<ActivityName>): string | undefined {
  if ('operation' in request) return request.operation.input.backupPath;
  if ('batch' in request) return request.batch.location.destination;
  if ('snapshot' in request) return request.snapshot.location.destination;
  if ('restore' in request) return request.restore.location.destination;
  if (!('input' in request)) return undefined;
  const { input } = request;
  if ('backupPath' in input) return input.backupPath;
  if ('backupDir' in input) return input.backupDir;
  return 'target' in input ? input.target : input.repository;
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
  const attempts = attemptsSoFar(info);
  return failure('CircuitOpen', `The circuit of destination ${destination} is open${reason}`, { path: destination, retryAfterMs, ...attempts, attempt: attempts.attempt - 1 });
}

/** Operations count, not attempts: only the failure that ends a step for good, and only if it blames the destination. */
function isFinalBlame(error: unknown, { info }: Context, request: Request<ActivityName> | undefined): boolean {
  if (!(error instanceof ApplicationFailure) || !isFailureType(error.type) || !failureKinds[error.type].blamesDestination) return false;
  if (error.type === 'ChecksumMismatch') return request !== undefined && 'finalCycle' in request && request.finalCycle;
  return error.nonRetryable === true || isLastAttempt(info);
}
