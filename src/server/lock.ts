import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from './errors';
import { parseObject } from './files';
import { isAlive, ownIdentity, parseIdentity, type ProcessIdentity } from './process-identity';

const RETRY_MS = 10;
/** How long a wait lasts before it is worth a line to the user. */
const SILENT_WAIT_MS = 1_000;

/** Who holds a lock. The nonce tells one holding from the next one by the same process. */
interface Holder {
  readonly nonce: string;
  /** Undefined when the file is unreadable, as after a power cut: its writer is gone then. */
  readonly identity?: ProcessIdentity;
}

/**
 * Runs the action while holding the lock file, one holder at a time among all processes of this machine.
 * A holder that was killed is succeeded at once: its lock names a process that no longer runs.
 */
export async function withLock<Result>(
  lockFile: string,
  action: () => Promise<Result>,
  onLongWait?: (holderPid: number) => void,
): Promise<Result> {
  const nonce = randomUUID();
  const ticket = `${lockFile}.${nonce}.tmp`;
  try {
    writeFileSync(ticket, JSON.stringify({ ...ownIdentity(), nonce }), { mode: 0o600, flag: 'wx' });
    await takeLock(lockFile, ticket, onLongWait);
  } finally {
    rmSync(ticket, { force: true });
  }
  try {
    return await action();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

async function takeLock(lockFile: string, ticket: string, onLongWait?: (holderPid: number) => void): Promise<void> {
  const speakAt = Date.now() + SILENT_WAIT_MS;
  let hasSpoken = false;
  while (!linkExclusively(ticket, lockFile)) {
    const holder = readHolder(lockFile);
    if (holder && succeed(lockFile, ticket, holder)) return;
    if (holder?.identity && !hasSpoken && Date.now() >= speakAt) {
      hasSpoken = true;
      onLongWait?.(holder.identity.pid);
    }
    await delay(RETRY_MS);
  }
}

/**
 * Takes over from the holder if it is dead. Removing its lock and creating one's own would let a slow process remove the lock of
 * a fast one, so successors queue up first: the file «after the dead holder's nonce» is created exclusively, hence by
 * one process only, and when that one dies too, its own successor queues up behind it in the same way. Whoever ends up
 * last in the queue replaces the lock in one step — unless the lock is no longer the dead holder's, because an earlier
 * successor has replaced it and tidied the queue away meanwhile. A dead holder's lock never comes back: nonces are unique.
 */
function succeed(lockFile: string, ticket: string, holder: Holder): boolean {
  const queue: string[] = [];
  for (let last: Holder | undefined = holder; last && !isHolderAlive(last); last = readHolder(queue.at(-1)!)) {
    const place = `${lockFile}.after-${last.nonce}`;
    queue.push(place);
    if (!linkExclusively(ticket, place)) continue;
    if (readHolder(lockFile)?.nonce !== holder.nonce) {
      rmSync(place, { force: true });
      return false;
    }
    renameSync(ticket, lockFile);
    for (const file of queue) rmSync(file, { force: true });
    return true;
  }
  return false;
}

/** A link appears with its content, so that no other process ever reads half a ticket. */
function linkExclusively(ticket: string, path: string): boolean {
  try {
    linkSync(ticket, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const value = parseObject(readFileSync(path, 'utf8'));
    const nonce = typeof value?.nonce === 'string' && /^[\w-]+$/.test(value.nonce) ? value.nonce : 'unreadable';
    return { nonce, identity: parseIdentity(value) };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isHolderAlive({ identity }: Holder): boolean {
  return identity !== undefined && isAlive(identity);
}
