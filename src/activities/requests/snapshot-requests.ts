import { z } from 'zod';
import { parseDataShare } from '../../core/data-share';
import { isBelow } from '../../core/roots';
import { absolutePath } from '../../models';
import { RestoreInput } from '../../restore-models';
import { KeepRules } from '../../schedule-models';
import { SnapshotInput } from '../../snapshot-models';
import { attributes, chunkNumber, count, directories, directoryIdentity, failuresByType, failureType, journalSums, message, places, planned, restoreLocation, runId, sha256, snapshotName } from './terms';

const MOST_SAMPLED = 20;

const snapshot = z.strictObject({
  ...planned,
  input: SnapshotInput.omit({ sources: true, excludes: true }),
  failures: z.strictObject({ count, failuresByType, sample: z.array(z.strictObject({ path: message, type: failureType, message })).max(MOST_SAMPLED) }),
});

const restore = z
  .strictObject({
    ...planned,
    location: restoreLocation,
    input: RestoreInput.omit({ paths: true }),
    snapshot: snapshotName,
    ground: z.strictObject({ destination: directoryIdentity, missingDirectories: directories }),
    places: places.optional(),
    /** Of runs that an earlier version of the program has planned; what the destination gets is in the run's own plan. */
    rootAttributes: attributes.nullable().optional(),
    /** Plans of earlier versions do not say. */
    rightsLeftOut: count.default(0),
  })
  .refine(({ ground, location: { destination, beside = destination } }) => isBelow(ground.destination.path, beside), { path: ['ground', 'destination'], message: 'must be the destination, or a directory on the way to it' })
  .refine(({ places: asked = [], location: { destination } }) => asked.every(({ path }) => isBelow(destination, path)), { path: ['places'], message: 'must be at or below the destination' });

/** Requests of the steps that take snapshots. */
export const snapshotRequests = {
  planSnapshot: z.strictObject({ input: SnapshotInput, runId }),
  snapshotChunk: z.strictObject({ snapshot, chunk: chunkNumber, pass: count, journalTag: sha256.optional() }),
  sealSnapshot: z.strictObject({ snapshot, startedAt: z.iso.datetime(), endedAt: z.iso.datetime(), known: journalSums.optional() }),
  discardSnapshot: z.strictObject({ repository: absolutePath, runId, startedAt: z.iso.datetime().optional() }),
};

/** Requests of the steps that restore them. */
export const restoreRequests = {
  planRestore: z.strictObject({ input: RestoreInput, runId }),
  restoreChunk: z.strictObject({ restore, chunk: chunkNumber, pass: count, journalTag: sha256.optional() }),
  finishRestore: z.strictObject({ restore, cancelled: z.boolean(), known: journalSums.optional() }),
  closeRestore: z.strictObject({ restore, failuresPath: absolutePath.nullable() }),
};

/** Requests of the steps on whole repositories. */
export const repositoryRequests = {
  pruneRepository: z.strictObject({ repository: absolutePath, host: SnapshotInput.shape.host.unwrap(), sources: SnapshotInput.shape.sources.optional(), keep: KeepRules }),
  checkRepository: z.strictObject({
    repository: absolutePath,
    readData: z.string().max(100).refine((text) => parseDataShare(text, 0) !== undefined, 'must be a share such as 5% or 3/7').nullable(),
  }),
};
