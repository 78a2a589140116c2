import { hostname } from 'node:os';
import { z } from 'zod';
import { FailedFile, MAX_INLINE_LIST_BYTES } from './batch-models';
import { absoluteDirectory, absolutePath, runFields } from './models';

/** Most that the patterns of a request may take. */
const MAX_PATTERN_BYTES = 24 * 1024;

const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** What to take a snapshot of and how. Unknown fields are rejected; every default stands here and nowhere else. */
export const SnapshotInput = z.strictObject({
  /** Absolute paths of directories or files. */
  sources: z.array(absoluteDirectory).min(1).refine((sources) => jsonBytes(sources) <= MAX_INLINE_LIST_BYTES, `must be at most ${MAX_INLINE_LIST_BYTES} bytes as JSON`),
  /** Directory of the repository. */
  repository: absolutePath,
  /** Whose files they are: another host's snapshots are parents only where this one has none. */
  host: z.string().min(1).max(255).default(hostname),
  tags: z.array(z.string().min(1).max(100)).max(20).default([]),
  /** Patterns as in a .gitignore at the top of each source. */
  excludes: z.array(z.string().min(1)).refine((patterns) => jsonBytes(patterns) <= MAX_PATTERN_BYTES, `must be at most ${MAX_PATTERN_BYTES} bytes as JSON`).default([]),
  /** Leave out what is in directories that say of themselves that they are caches. */
  excludeCaches: z.boolean().default(false),
  /** Leave out larger files. */
  maxFileSizeBytes: z.int().min(0).nullable().default(null),
  /** Stay on the file system of each source. */
  oneFileSystem: z.boolean().default(false),
  /** Take the others where a source is not there, which fails by name then; otherwise nothing is copied. */
  allowMissing: z.boolean().default(false),
  /** Take a source without a file for what it is, also where an earlier snapshot has files of it. */
  allowEmpty: z.boolean().default(false),
  /** Read every file, whatever the parent snapshot knows of it. */
  rehash: z.boolean().default(false),
  /**
   * Snapshot that files are known from, by name, id or as `latest`; `none` reads every file and takes its bytes anew. By
   * itself it is found source by source.
   */
  parent: z.string().regex(/^[\w-]{1,100}$/, 'must be the name or id of a snapshot, "latest", "none" or "auto"').default('auto'),
  onSourceChanged: z.enum(['fail', 'accept']).default('fail'),
  ...runFields,
});

export type SnapshotInput = z.output<typeof SnapshotInput>;
export type SnapshotRequest = z.input<typeof SnapshotInput>;

/** The record of a finished snapshot. */
export const SnapshotOutput = z.strictObject({
  /** True when it is published and complete. */
  success: z.boolean(),
  operationId: z.uuid(),
  repository: z.string(),
  /** Name of the published snapshot; null when there is none. */
  snapshot: z.string().nullable(),
  /** `partial`: something failed; null when nothing was published. */
  status: z.enum(['complete', 'partial']).nullable(),
  /** Name of the snapshot that most of what was known was known from. */
  parent: z.string().nullable(),
  files: z.int().min(0),
  newFiles: z.int().min(0),
  changedFiles: z.int().min(0),
  unchangedFiles: z.int().min(0),
  directories: z.int().min(0),
  symlinks: z.int().min(0),
  /** FIFOs, sockets and devices: recorded, without a copy. */
  specials: z.int().min(0),
  /** Entries of any kind that could not be backed up, and sources of which too little was found. */
  failedEntries: z.int().min(0),
  /** Files that were gone when their turn came. */
  vanishedFiles: z.int().min(0),
  /** Left out on request; what is in a directory that was left out is not counted. */
  excludedEntries: z.int().min(0),
  /** Of all files. */
  totalBytes: z.int().min(0),
  copiedBytes: z.int().min(0),
  failuresByType: z.record(z.string(), z.int().min(1)),
  /** The first 20; all of them are in the snapshot's metadata.ndjson. */
  failureSample: z.array(FailedFile).max(20),
  /** Where the new copies were read back from; null where there were none, or without verification. */
  verifiedFrom: z.enum(['device', 'cache']).nullable(),
  /** What was left out by itself, such as the repository inside a source. */
  leftOut: z.array(z.string()),
  /** The first few patterns that left nothing out. */
  idleExcludes: z.array(z.string()).default([]),
  /** What sources have that snapshots do not keep: `xattrs`, `holes`. */
  notKept: z.array(z.string()),
  /** Copies of the parent that were found damaged, and were made afresh: how many, and the first few. */
  damagedCopies: z.strictObject({ count: z.int().min(0), sample: z.array(z.string()) }).default({ count: 0, sample: [] }),
  /** The first few snapshots of the repository that are dated in the future: no parent, not the latest, never pruned. */
  futureSnapshots: z.array(z.string()).default([]),
  retryCount: z.int().min(0),
  processingTimeMs: z.number().min(0),
  completedAt: z.iso.datetime(),
  rollback: z.enum(['notNeeded', 'performed', 'failed']),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
});
export type SnapshotOutput = z.output<typeof SnapshotOutput>;
