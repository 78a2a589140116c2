import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities';
import { chunk, commit, quick, repository, transfer, undo } from '../policies';

/** Forward steps; how often each is retried comes from the input, call by call. */
export const quickSteps = proxyActivities<Activities>(quick);
export const transferSteps = (sizeBytes: number) => proxyActivities<Activities>(transfer(sizeBytes));

/** Steps that run after the decision, in a scope that cannot be cancelled. */
export const undoSteps = proxyActivities<Activities>(undo);
export const commitSteps = proxyActivities<Activities>(commit);

/** Forward steps of a batch and its commit: they take as long as there are files, and bytes in them. */
export const chunkSteps = proxyActivities<Activities>(chunk);

/** Steps on a whole repository. */
export const repositorySteps = proxyActivities<Activities>(repository);
