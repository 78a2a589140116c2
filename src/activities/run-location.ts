import { failure } from '../failures';
import type { RunOwner } from '../storage/batch/open-run';
import type { ProvedPlan } from '../storage/batch/plan-digests';
import { proofFor, type RunProof } from '../storage/batch/run-proof';
import type { RunLocation } from '../storage/batch/run-directory';
import { attemptsSoFar } from './attempts';
import { currentOwner, type ActivityDependencies } from './operation';
import { destinationRoot } from './roots';
import { toFailure } from './step-failed';

/** A run of many files, where it works and whose it is. */
export interface OwnRun {
  readonly location: RunLocation;
  readonly owner: RunOwner;
}

/**
 * Whether the execution that asks is the one that the run began with. If it is, and work is there that it does not know of,
 * then the server has forgotten that, as when its database was put back to an earlier copy; another one may be a reset, by
 * which somebody wants the work to be done again.
 */
export function isFirstExecution({ clusterId, runId }: RunOwner): boolean {
  return currentOwner(clusterId).runId === runId;
}

type Asked = Pick<RunLocation, 'destination' | 'runId' | 'proof'>;

/**
 * The run that asks, in a destination that this worker allows. Whoever starts a workflow can hand it the state of another
 * one, so that nothing of a location is taken on trust, whichever step it comes to: who asks is known by the activity's
 * own context, and by what the server says that its chain of executions began with.
 * @throws ApplicationFailure `TargetNotAllowed`, `NotOwnRun`
 */
export async function ownRun(dependencies: ActivityDependencies, { destination, runId, proof }: Asked): Promise<OwnRun> {
  const root = destinationRoot(dependencies.roots, destination);
  const owner = await ownerOfChain(dependencies);
  if (owner.runId !== runId) throw failure('NotOwnRun', `The run ${runId} in ${destination} is not the one that asks`, { path: destination, ...attemptsSoFar() });
  return { location: { root, destination, runId, ...(proof === undefined ? {} : { proof }) }, owner };
}

/** The run that asks as one that makes a snapshot, likewise. @throws ApplicationFailure `TargetNotAllowed`, `NotOwnRun` */
export async function ownSnapshotRun(dependencies: ActivityDependencies, asked: Asked): Promise<OwnRun> {
  const { location, owner } = await ownRun(dependencies, asked);
  return { location: { ...location, area: 'incoming' }, owner };
}

/** Whoever asks, by the run id that its chain of executions began with. @throws ApplicationFailure when the server does not say */
export async function ownerOfChain({ clusterId, firstRunIdOf }: ActivityDependencies): Promise<RunOwner> {
  const owner = currentOwner(clusterId);
  try {
    return { ...owner, runId: await firstRunIdOf(owner) };
  } catch (error) {
    throw toFailure(error, attemptsSoFar());
  }
}

/**
 * The location of a run that has just been planned, with what its files are proved by from here on.
 * @param earlier the proof of what the run had planned before it was reset: where that plan is still the one, journals that
 *   were written by it are the run's own
 */
export function provedLocation<Location extends object>(location: Location, { planSha256 }: ProvedPlan<object>, earlier?: RunProof): Location & Pick<RunLocation, 'proof'> {
  if (planSha256 === undefined) return location;
  return { ...location, proof: earlier?.planSha256 === planSha256 ? earlier : proofFor(planSha256) };
}

/** The proof that this worker has noted of a run that was planned, and not ended since. */
export function notedProof({ registry }: ActivityDependencies, { runId, destination }: Pick<RunLocation, 'runId' | 'destination'>): RunProof | undefined {
  const entry = registry.findRun(runId);
  return entry?.location.destination === destination ? entry.location.proof : undefined;
}
