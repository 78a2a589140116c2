import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { boundedText } from './core/bounded-text';
import { deepFreeze } from './core/deep-freeze';
import { printable } from './core/printable';

/** Longest path that Linux takes (PATH_MAX less its closing NUL), in bytes. */
const MAX_PATH_BYTES = 4095;

/** Keeps memo and history small: Temporal warns above 2 KiB of memo. */
const MAX_METADATA_BYTES = 1500;

/** A path that means one place only. */
export const absolutePath = z
  .string()
  .refine((path) => path.startsWith('/'), 'must be an absolute path')
  .refine((path) => !path.includes('\0'), 'must not contain a NUL character')
  .refine((path) => path.isWellFormed(), 'must be well-formed Unicode')
  .refine((path) => Buffer.byteLength(path) <= MAX_PATH_BYTES, `must be at most ${MAX_PATH_BYTES} bytes long`)
  .refine(isNormal, 'must not contain "//", "/./", "/../" or a trailing slash');

/** A directory, which may be the root of all. */
export const absoluteDirectory = z.union([z.literal('/'), absolutePath]);

function isNormal(path: string): boolean {
  const names = path.split('/').slice(1);
  return names.every((name) => name !== '' && name !== '.' && name !== '..');
}

export const boundedMetadata = z
  .record(z.string(), z.string())
  .refine((metadata) => Buffer.byteLength(JSON.stringify(metadata)) <= MAX_METADATA_BYTES, `must be at most ${MAX_METADATA_BYTES} bytes as JSON`)
  .default({});

/** Fields that runs of many files have in common, whatever they do with the files. */
export const runFields = {
  /** Read every copy back and compare it before it is published. */
  verifyBackup: z.boolean().default(true),
  verifyFrom: z.enum(['device', 'cache']).default('device'),
  maxRetries: z.int().min(0).max(10).default(3),
  retryDelayMs: z.int().min(100).max(30_000).default(1000),
  onCircuitOpen: z.enum(['wait', 'fail']).default('wait'),
  /** Chunks at a time. */
  lanes: z.int().min(1).max(64).default(4),
  operationId: z.uuid().default(() => randomUUID()),
  metadata: boundedMetadata,
};

/** What to back up and how. Unknown fields are rejected; every default stands here and nowhere else. */
export const FileBackupInput = z
  .strictObject({
    /** Absolute path of the file to read. */
    sourcePath: absolutePath,
    /** Absolute path of the copy. */
    backupPath: absolutePath,
    /** False writes the target in place: no undo, no guarantee that the target is whole. */
    atomic: z.boolean().default(true),
    /** Read the copy back and compare SHA-256 and length before it is published. */
    verifyBackup: z.boolean().default(true),
    /** Retries of each step after its first attempt. */
    maxRetries: z.int().min(0).max(10).default(3),
    /** Wait before the first retry, in milliseconds; doubles with each further one. */
    retryDelayMs: z.int().min(100).max(30_000).default(1000),
    /** Sent twice, an operation runs once. */
    operationId: z.uuid().default(() => randomUUID()),
    /** Free text for tracing: kept in the run's memo and in every log line. */
    metadata: boundedMetadata,
    /** `device` reads the copy back from the disk where the file system allows it, `cache` from memory. */
    verifyFrom: z.enum(['device', 'cache']).default('device'),
    /** What an open circuit does: `wait` with a durable timer, or `fail` at once. */
    onCircuitOpen: z.enum(['wait', 'fail']).default('wait'),
    /** A source that changes while it is read: `fail` (after retries) or `accept` a file that only grew, cut at the size first seen. */
    onSourceChanged: z.enum(['fail', 'accept']).default('fail'),
  })
  .refine((input) => input.sourcePath !== input.backupPath, { path: ['backupPath'], message: 'must differ from sourcePath' });
/** The parsed form: every default filled in. */
export type FileBackupInput = z.output<typeof FileBackupInput>;
/** What callers may leave out. */
export type FileBackupRequest = z.input<typeof FileBackupInput>;

const RollbackStep = z.strictObject({
  step: z.string(),
  status: z.enum(['performed', 'failed']),
  message: z.string().nullable(),
});

/** What undo did: nothing to undo, all undone, not all undone, or not possible (`atomic: false`). */
export const Rollback = z.strictObject({
  status: z.enum(['notNeeded', 'performed', 'failed', 'unsupported']),
  steps: z.array(RollbackStep).max(10),
});
export type Rollback = z.output<typeof Rollback>;

/** The record of one finished operation, successful or not. */
export const FileBackupOutput = z.strictObject({
  success: z.boolean(),
  sourcePath: z.string(),
  backupPath: z.string(),
  sourceSizeBytes: z.int().min(0),
  backupSizeBytes: z.int().min(0),
  /** True when the copy was read back and compared. */
  verified: z.boolean(),
  /** Null when no comparison took place. */
  checksumMatch: z.boolean().nullable(),
  /** The operation id when the target was published atomically, else null. */
  transactionId: z.uuid().nullable(),
  /** True exactly when `rollback.status` is `performed`. */
  rollbackPerformed: z.boolean(),
  processingTimeMs: z.number().min(0),
  /** Attempts beyond the first, over all steps. */
  retryCount: z.int().min(0),
  operationId: z.uuid(),
  /** UTC, ISO 8601. */
  completedAt: z.iso.datetime(),
  errorMessage: z.string().nullable(),
  /** One of the failure types of docs/reference.md. */
  errorCode: z.string().nullable(),
  /** Lower-case hexadecimal digest of the copy's bytes. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).nullable(),
  /** Where verification read from; null without verification. */
  verifiedFrom: z.enum(['device', 'cache']).nullable(),
  /** How the target came to be: `adopted` means that it was found finished, as after a crash of the server. */
  publishedBy: z.enum(['link', 'rename', 'adopted', 'inPlace']).nullable(),
  /** True when `onSourceChanged: 'accept'` took a source that grew. */
  sourceChanged: z.boolean(),
  /** Missing parent directories of the target that were created. */
  createdDirectories: z.array(z.string()),
  /** What a person should know although the operation went on. */
  warnings: z.array(z.string()),
  rollback: Rollback,
});
export type FileBackupOutput = z.output<typeof FileBackupOutput>;

/** Thrown for input that does not fit its schema: one readable line per problem. */
export class InvalidInputError extends Error {
  override readonly name = 'InvalidInputError';
  readonly errorCode = 'InvalidInput';
}

/** Parses and freezes. @throws InvalidInputError */
export function parseModel<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new InvalidInputError(describeProblems(parsed.error), { cause: parsed.error });
  return deepFreeze(parsed.data);
}

/** So many are enough to see what is meant: input that fits nowhere has one for each of its fields. */
const MOST_PROBLEMS = 10;

/** Names of fields come with the input, so they may be of any length and hold anything. Values are never shown. */
const MAX_NAME_BYTES = 60;

function describeProblems({ issues }: z.ZodError): string {
  const shown = issues.slice(0, MOST_PROBLEMS).flatMap((issue) => [`✖ ${problemText(issue)}`, ...(issue.path.length === 0 ? [] : [`  → at ${issue.path.map(nameOf).join('.')}`])]);
  return [...shown, ...(issues.length > MOST_PROBLEMS ? [`and ${issues.length - MOST_PROBLEMS} more`] : [])].join('\n');
}

function problemText(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? `Unknown fields: ${issue.keys.slice(0, MOST_PROBLEMS).map(nameOf).join(', ')}` : issue.message;
}

function nameOf(name: PropertyKey): string {
  return boundedText(printable(String(name)), MAX_NAME_BYTES);
}

