import { z } from 'zod';
import { isBelow } from '../../core/roots';
import { parseSnapshotName } from '../../core/snapshot-name';
import { failureKinds, type FailureType } from '../../failures';
import { absoluteDirectory, absolutePath } from '../../models';

/** What requests are made of. Numbers, texts and lists all have a bound: whoever schedules an activity chooses them. */

/** Far more than any run has, and few enough to count through. */
const MOST_CHUNKS = 100_000_000;

/** Of a message that came back from a child workflow: it may name two paths. */
const MAX_MESSAGE_CHARACTERS = 65_536;

/** What the two lists of directories may take; see `refuseDeepTarget` and `createdFor`. */
const MAX_DIRECTORIES_BYTES = 32 * 1024;

/** Files, bytes, attempts: whole and not negative. */
export const count = z.int().min(0);

export const chunkNumber = z.int().min(0).max(MOST_CHUNKS);

export const attempts = z.int().min(1).max(1_000_000_000);

export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in hexadecimal');

/** Names directories and files of the worker's own: nothing in it may lead elsewhere. */
export const runId = z.string().regex(/^[\w-]{1,64}$/, 'must be the id of a run');

/** As the stage step names its files; other names in a staging directory are not for requests. */
export const stagedName = z.string().regex(/^staged-[\w-]{1,200}$/, 'must be the name of a staged file');

export const snapshotName = z.string().max(100).refine((name) => parseSnapshotName(name) !== undefined, 'must be the name of a snapshot');

export const shortText = z.string().max(1000);

export const message = z.string().max(MAX_MESSAGE_CHARACTERS);

export const failureType = z.enum(Object.keys(failureKinds) as [FailureType, ...FailureType[]]);

export const failuresByType = z.partialRecord(failureType, count);

/** A device, an inode, a time in nanoseconds: whole numbers that JSON could not keep. */
export const bigNumber = z.string().regex(/^-?\d{1,20}$/, 'must be a whole number as text');

const id = z.int().min(0).max(0xffff_ffff);

/** With the bits for the type of the file. */
const mode = z.int().min(0).max(0o177777);

export const fileStat = z.strictObject({ device: bigNumber, inode: bigNumber, sizeBytes: count, mtimeNs: bigNumber, ctimeNs: bigNumber, mode, userId: id, groupId: id });

export const directoryIdentity = z.strictObject({ path: absoluteDirectory, device: bigNumber, inode: bigNumber, bornNs: bigNumber.optional() });

export const attributes = z.strictObject({ mode: z.string().regex(/^[0-7]{4}$/, 'must be a mode of four octal digits'), uid: id, gid: id, mtimeNs: bigNumber });

/** Directories in which a restore stages besides. */
export const places = z.array(directoryIdentity).max(32);

export const directories = z.array(absolutePath).refine((paths) => Buffer.byteLength(JSON.stringify(paths)) <= 2 * MAX_DIRECTORIES_BYTES, 'must be fewer directories');

/**
 * Where a run works, and what its files are proved by. The root and the area are what earlier versions of the program handed on as well; both are found
 * anew from the destination and the step.
 */
const locationFields = { destination: absoluteDirectory, runId, root: absoluteDirectory.optional(), area: z.literal('incoming').optional(), proof: z.strictObject({ planSha256: sha256, journalKey: sha256 }).optional() };

export const location = z
  .strictObject(locationFields)
  .transform(({ destination, runId: ofRun, proof }) => ({ destination, runId: ofRun, ...(proof === undefined ? {} : { proof }) }));

/** Of a restore, whose directory may be in one below the destination. */
export const restoreLocation = z
  .strictObject({ ...locationFields, beside: absoluteDirectory.optional() })
  .refine(({ destination, beside = destination }) => isBelow(destination, beside), { path: ['beside'], message: 'must be at or below the destination' })
  .transform(({ destination, runId: ofRun, proof, beside }) => ({ destination, runId: ofRun, ...(proof === undefined ? {} : { proof }), ...(beside === undefined ? {} : { beside }) }));

/** Sums that travel with a run, and chunks that lanes and sagas may have had under way; see `core/journal-sums`. */
const MOST_SUMS = 100;
const MOST_UNSETTLED = 1000;

/** What history knows of the journals of a run's chunks. */
export const journalSums = z.strictObject({ sums: z.array(sha256).max(MOST_SUMS), unsettled: z.array(chunkNumber).max(MOST_UNSETTLED), begun: chunkNumber });

/** What a run needs and what is free; null where a file system does not say. */
const room = z.strictObject({ neededBytes: count, neededFiles: count, freeBytes: count.nullable(), freeFiles: count.nullable() });

/** What the plans of all kinds of runs have in common, besides what was asked for. */
export const planned = { location, files: count, sizeBytes: count, chunks: chunkNumber, room: room.optional(), attempt: attempts.optional() };

/** The directories between an existing one and what is to be made below it, nearest to the existing one first. */
export function directoriesBetween(existing: string, path: string): string[] {
  const names = path.slice(existing === '/' ? 1 : existing.length + 1).split('/').slice(0, -1);
  return names.map((_name, index) => `${existing === '/' ? '' : existing}/${names.slice(0, index + 1).join('/')}`);
}
