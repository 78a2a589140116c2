import { z } from 'zod';
import { BatchBackupInput, BatchSettings } from '../../batch-models';
import { absolutePath, boundedMetadata } from '../../models';
import { chunkNumber, count, directories, failureType, journalSums, message, planned, runId, sha256, shortText } from './terms';

/** Chunks that one step undoes: those of one sum. */
const MOST_UNDONE = 1_000_000;

/** Files of a chunk that had sagas of their own. */
const MOST_AMENDMENTS = 100;

const batch = z.strictObject({ ...planned, input: BatchSettings, duplicates: count, createdDirectories: directories });

const amendment = z.strictObject({
  index: chunkNumber,
  entry: z.strictObject({
    state: z.enum(['backedUp', 'failed']),
    sizeBytes: count.optional(),
    sha256: sha256.optional(),
    changed: z.boolean().optional(),
    failure: z.strictObject({ code: failureType, side: z.enum(['source', 'destination']), message }).optional(),
  }),
});

/** For the run's summary. */
const facts = z.strictObject({
  state: z.enum(['complete', 'cancelled', 'failed']),
  operationId: z.uuid(),
  metadata: boundedMetadata,
  backupDir: absolutePath,
  layout: z.enum(['flat', 'tree']),
  workflowId: shortText,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
});

/** Requests of the steps that back a list of files up. */
export const batchRequests = {
  planBatch: z.strictObject({ input: BatchBackupInput, runId }),
  backupChunk: z.strictObject({ batch, chunk: chunkNumber, pass: count, journalTag: sha256.optional(), storage: shortText }),
  amendChunk: z.strictObject({ batch, chunk: chunkNumber, amendments: z.array(amendment).max(MOST_AMENDMENTS), journalTag: sha256.optional(), storage: shortText }),
  revokeRun: z.strictObject({ batch }),
  undoChunks: z.strictObject({ batch, end: chunkNumber, count: z.int().min(0).max(MOST_UNDONE), known: journalSums.optional() }).refine(({ end, count: undone }) => undone <= end, { path: ['count'], message: 'must not be more than there are' }),
  sealRun: z.strictObject({ batch, facts, known: journalSums.optional() }),
  /** Of restores too. Earlier versions of the program handed the input on as well. */
  discardRun: z.strictObject({ runId, input: z.unknown().optional() }).transform(({ runId: ofRun }) => ({ runId: ofRun })),
};
