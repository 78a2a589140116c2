import type { z } from 'zod';
import { failure } from '../../failures';
import { InvalidInputError, parseModel } from '../../models';
import { batchRequests } from './batch-requests';
import { fileRequests } from './file-requests';
import { repositoryRequests, restoreRequests, snapshotRequests } from './snapshot-requests';

/** What each activity may be asked for, to the last field: whoever may start workflows can schedule any of them with anything. */
export const requests = { ...fileRequests, ...batchRequests, ...snapshotRequests, ...restoreRequests, ...repositoryRequests };

export type ActivityName = keyof typeof requests;

/** What an activity is asked for, once it is parsed. */
export type Request<Name extends ActivityName> = z.output<(typeof requests)[Name]>;

/**
 * Parses what an activity was scheduled with. Before this, nothing looks into it.
 * @throws ApplicationFailure `InvalidInput` naming the fields
 */
export function parseRequest<Name extends ActivityName>(name: Name, args: readonly unknown[], attempt: number): Request<Name> {
  if (args.length !== 1) throw failure('InvalidInput', `The step ${name} takes one request, not ${args.length}`, { attempt });
  try {
    return parseModel(requests[name], args[0]) as Request<Name>;
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    throw failure('InvalidInput', error.message, { attempt }, error);
  }
}
