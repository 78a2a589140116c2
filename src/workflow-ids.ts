import { createHash } from 'node:crypto';
import type { FileBackupInput } from './models';

/**
 * The workflow id of backups to one target: Temporal allows one run of an id at a time, which makes it the target's
 * lock. Hashed, because servers limit the length of ids and never encrypt them.
 * @param storage which storage the path belongs to: the host's queue, or the queue of workers that share it
 */
export function fileWorkflowId(storage: string, backupPath: string): string {
  return `file-backup-${sha256(`${storage}\0${backupPath}`).slice(0, 32)}`;
}

/** Equal for equal work: everything but the operation's own id. */
export function fingerprintOf({ operationId: _, metadata, ...input }: FileBackupInput): string {
  return sha256(JSON.stringify([Object.entries(input).sort(byName), Object.entries(metadata).sort(byName)]));
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
