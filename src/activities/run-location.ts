import { failure } from '../failures';
import { absoluteDirectory } from '../models';
import { proofFor, runProof } from '../storage/batch/run-proof';
import type { ProvedPlan } from '../storage/batch/plan-digests';
import type { RunLocation } from '../storage/batch/run-directory';
import { destinationRoot, type AllowedRoots } from './roots';

const RUN_ID = /^[\w-]+$/;

/**
 * Where a run works, as far as this worker allows it. Whoever starts a workflow can hand it the state of an earlier
 * execution, so that nothing of a location is taken on trust, whichever step it comes to.
 * @throws ApplicationFailure `InvalidInput`, `TargetNotAllowed`
 */
export function runLocation(roots: AllowedRoots, { destination, runId, proof }: Pick<RunLocation, 'destination' | 'runId' | 'proof'>): RunLocation {
  if (!RUN_ID.test(runId) || !absoluteDirectory.safeParse(destination).success) throw failure('InvalidInput', `The run ${runId} in ${destination} is none that this worker has planned`, { path: destination });
  if (proof !== undefined && runProof(proof) !== undefined) throw failure('InvalidInput', `The run ${runId} in ${destination} has a proof that is none`, { path: destination });
  return { root: destinationRoot(roots, destination), destination, runId, ...(proof === undefined ? {} : { proof }) };
}

/** Where a snapshot is being made, likewise. @throws ApplicationFailure `InvalidInput`, `TargetNotAllowed` */
export function snapshotLocation(roots: AllowedRoots, location: Pick<RunLocation, 'destination' | 'runId' | 'proof'>): RunLocation {
  return { ...runLocation(roots, location), area: 'incoming' };
}

/** The location of a run that has just been planned, with what its files are proved by from here on. */
export function provedLocation<Location extends object>(location: Location, { planSha256 }: ProvedPlan<object>): Location & Pick<RunLocation, 'proof'> {
  return planSha256 === undefined ? location : { ...location, proof: proofFor(planSha256) };
}
