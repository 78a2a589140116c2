import { z } from 'zod';
import { FailedFile } from './batch-models';
import { absoluteDirectory, absolutePath, runFields } from './models';

/** Most that the paths of a request may take. */
const MAX_PATHS_BYTES = 32 * 1024;

/** What to restore, and where to. Unknown fields are rejected; every default stands here and nowhere else. */
export const RestoreInput = z.strictObject({
  repository: absolutePath,
  /** `latest`, a name, or the beginning of a name or id. */
  snapshot: z.string().min(1).max(100).default('latest'),
  /** Directory below which everything gets its full path. */
  target: absoluteDirectory,
  /** Entries, each with everything below it; all of the snapshot when there are none. */
  paths: z
    .array(absoluteDirectory)
    .refine((paths) => Buffer.byteLength(JSON.stringify(paths)) <= MAX_PATHS_BYTES, `must be at most ${MAX_PATHS_BYTES} bytes as JSON`)
    .default([]),
  /** `always` replaces what is not as recorded; `ifChanged` takes the recorded size and time for good; `never` leaves what exists. */
  overwrite: z.enum(['always', 'ifChanged', 'never']).default('always'),
  /** Also recorded owners other than the worker's user, and set-user-id, set-group-id and sticky bits; from a repository that he or root owns. */
  withOwners: z.boolean().default(false),
  ...runFields,
});

export type RestoreInput = z.output<typeof RestoreInput>;
export type RestoreRequest = z.input<typeof RestoreInput>;

/** The record of a finished restore. `restoredEntries`, `unchangedEntries`, `failedEntries` and `skippedEntries` add up to `entries`. */
export const RestoreOutput = z.strictObject({
  /** True when nothing failed. */
  success: z.boolean(),
  operationId: z.uuid(),
  repository: z.string(),
  /** Name of the snapshot; null when none was found. */
  snapshot: z.string().nullable(),
  target: z.string(),
  entries: z.int().min(0),
  restoredEntries: z.int().min(0),
  /** As recorded already. */
  unchangedEntries: z.int().min(0),
  failedEntries: z.int().min(0),
  skippedEntries: z.int().min(0),
  skippedByReason: z.record(z.string(), z.int().min(1)),
  /** Entries whose recorded owner, or set-user-id, set-group-id and sticky bits, were left out, since `withOwners` did not ask for them. */
  rightsLeftOut: z.int().min(0).default(0),
  /** Of files that were copied. */
  restoredBytes: z.int().min(0),
  failuresByType: z.record(z.string(), z.int().min(1)),
  /** The first 20. */
  failureSample: z.array(FailedFile).max(20),
  /** A file that names all of them, when there are more than the sample. */
  failuresPath: z.string().nullable(),
  /** The first 20 that cannot be restored, such as sockets. */
  skippedSample: z.array(z.strictObject({ path: z.string(), reason: z.string() })).max(20),
  verifiedFrom: z.enum(['device', 'cache']).nullable(),
  retryCount: z.int().min(0),
  processingTimeMs: z.number().min(0),
  completedAt: z.iso.datetime(),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
});
export type RestoreOutput = z.output<typeof RestoreOutput>;
