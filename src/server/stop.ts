import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from './errors';
import { isAlive, type ProcessIdentity } from './process-identity';

const POLL_MS = 10;
/** A server without users needs about a second: it lets requests drain. */
const GRACE_MS = 10_000;
const KILL_MS = 5_000;

/** Asks the process to end. Says nothing to any other process, even one that got the same pid. */
export function askToStop(identity: ProcessIdentity): void {
  signal(identity, 'SIGTERM');
}

/** Waits until a process that was asked to stop has ended, and kills it when it takes too long. */
export async function waitUntilStopped(identity: ProcessIdentity, graceMs = GRACE_MS): Promise<void> {
  if (await isGoneWithin(identity, graceMs)) return;
  signal(identity, 'SIGKILL');
  if (await isGoneWithin(identity, KILL_MS)) return;
  throw new Error(`Process ${identity.pid} survives being killed`);
}

/** Ends the process at once. The database survives that: each commit of the server is on disk before it is answered. */
export function kill(identity: ProcessIdentity): Promise<void> {
  return waitUntilStopped(identity, 0);
}

function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    // It ended by itself after the check.
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

async function isGoneWithin(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs;
  while (isAlive(identity)) {
    if (Date.now() >= deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}
