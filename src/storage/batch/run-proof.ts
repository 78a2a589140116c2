import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { StorageError } from '../errors';
import { sha256 } from '../records/fields';
import { objectOf } from '../records/shape';

/**
 * What a run's steps prove its files by. It stands in the run's history and in the worker's own state directory, never in
 * the run's directory: who can write there can neither exchange the plan nor make a journal of his own. Runs that were
 * planned without one are not proved.
 */
export interface RunProof {
  /** Of the plan's list of digests, which vouches for everything else in the plan. */
  readonly planSha256: string;
  /** Random, as 64 hexadecimal digits: journals and records carry tags that are made with it. */
  readonly journalKey: string;
}

export const runProof = objectOf<RunProof>({ planSha256: sha256, journalKey: sha256 });

/** The proof of a run that has just been planned. */
export function proofFor(planSha256: string): RunProof {
  return { planSha256, journalKey: randomBytes(32).toString('hex') };
}

export function digestOf(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** What only who knows the key can say of some bytes. @param name of the file, so that none can stand for another */
export function tagOf({ journalKey }: RunProof, name: string, ...data: readonly (Buffer | string)[]): string {
  const hmac = createHmac('sha256', Buffer.from(journalKey, 'hex')).update(`${name}\n`);
  for (const piece of data) hmac.update(piece);
  return hmac.digest('hex');
}

export function isTag(tag: string, expected: string): boolean {
  return tag.length === expected.length && timingSafeEqual(Buffer.from(tag), Buffer.from(expected));
}

/** Something in a run's directory is not as the run wrote it: nothing of it is acted on. */
export function alteredRun(path: string, why: string, cause?: unknown): StorageError {
  return new StorageError('RunAltered', 'destination', path, `The run's file ${path} is not as the run wrote it: it ${why}; nothing more was done`, {}, { cause });
}
