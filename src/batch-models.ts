import { z } from 'zod';
import { absolutePath, runFields } from './models';

/** Most that a list of sources may take inside a request; longer ones go into a file. */
export const MAX_INLINE_LIST_BYTES = 32 * 1024;

const fitsInline = (sources: readonly string[]): boolean => Buffer.byteLength(JSON.stringify(sources)) <= MAX_INLINE_LIST_BYTES;

/** A list of sources in a file that the worker can read; paths are bytes there. */
const SourceList = z.strictObject({
  path: absolutePath,
  separator: z.enum(['newline', 'nul']).default('nul'),
  /** Digest of the file's bytes: equal lists are known as equal, and no other file is read for one. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** How many there are, for people who look at the run. */
  entries: z.int().min(1).optional(),
});

/** How to back many files up: the input without its list. */
export const BatchSettings = z.strictObject({
  /** Directory that gets the copies. */
  backupDir: absolutePath,
  /** `flat`: `{name}.backup`; `tree`: the full path below the directory. */
  layout: z.enum(['flat', 'tree']).default('flat'),
  /** `continue`: a failed file does not stop the others; `rollBack`: all or nothing. */
  onFailure: z.enum(['continue', 'rollBack']).default('continue'),
  onSourceChanged: z.enum(['fail', 'accept']).default('fail'),
  /** Read every file, whatever the last run knows of it. */
  rehash: z.boolean().default(false),
  ...runFields,
});

/** What to back up and how, for many files. */
export const BatchBackupInput = BatchSettings.extend({
  /** Absolute paths of the files, for short lists. */
  sources: z.array(absolutePath).min(1).refine(fitsInline, `must be at most ${MAX_INLINE_LIST_BYTES} bytes as JSON; use sourceList`).optional(),
  sourceList: SourceList.optional(),
})
  .refine((input) => (input.sources === undefined) !== (input.sourceList === undefined), { path: ['sources'], message: 'give either sources or sourceList' });
export type BatchBackupInput = z.output<typeof BatchBackupInput>;
export type BatchBackupRequest = z.input<typeof BatchBackupInput>;

/** A file or other entry that failed, for people. */
export const FailedFile = z.strictObject({ path: z.string(), type: z.string(), message: z.string() });
export type FailedFile = z.output<typeof FailedFile>;

/** The record of a finished batch. Counts add up to `totalFiles`. */
export const BatchBackupOutput = z.strictObject({
  /** True when every file is backed up or unchanged. */
  success: z.boolean(),
  operationId: z.uuid(),
  backupDir: z.string(),
  totalFiles: z.int().min(0),
  /** Entries that were listed more than once, and are counted once. */
  duplicateEntries: z.int().min(0),
  successfulFiles: z.int().min(0),
  unchangedFiles: z.int().min(0),
  failedFiles: z.int().min(0),
  skippedFiles: z.int().min(0),
  /** Files that grew while they were copied, taken at the size first seen. */
  changedFiles: z.int().min(0),
  totalBytes: z.int().min(0),
  successRatePercent: z.number().min(0).max(100),
  failuresByType: z.record(z.string(), z.int().min(1)),
  /** The first 20; all of them are in the run's failures.ndjson. */
  failureSample: z.array(FailedFile).max(20),
  verifiedFrom: z.enum(['device', 'cache']).nullable(),
  /** Directories that had to be created for `backupDir`. */
  createdDirectories: z.array(z.string()),
  /** Manifest, failures and summary of the run. */
  runDirectory: z.string(),
  retryCount: z.int().min(0),
  processingTimeMs: z.number().min(0),
  completedAt: z.iso.datetime(),
  rollback: z.enum(['notNeeded', 'performed', 'failed']),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
});
export type BatchBackupOutput = z.output<typeof BatchBackupOutput>;
