import { createHash, randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RETRY_MS = 100;

/** Runs the action, one process at a time for this purpose and checkout. A lock whose holder is gone is taken over. */
export function withFileLock(purpose, checkout, action) {
  const name = createHash('sha256').update(`${purpose} ${checkout}`).digest('hex').slice(0, 16);
  const lock = join(tmpdir(), `file-backup-${purpose}-${name}.lock`);
  const own = `${lock}.${randomUUID()}`;
  // Linked into place as a whole, so that nobody reads a lock without its holder.
  writeFileSync(own, String(process.pid), { flag: 'wx', mode: 0o600 });
  try {
    while (!tryLink(own, lock)) {
      if (!removeAbandoned(lock)) pause();
    }
  } finally {
    rmSync(own, { force: true });
  }
  try {
    return action();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLink(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a dead holder's lock aside, and back when another process was faster and the lock is its own. */
function removeAbandoned(lock) {
  if (isHeld(lock)) return false;
  const aside = `${lock}.${randomUUID()}`;
  try {
    renameSync(lock, aside);
    if (isHeld(aside)) tryLink(aside, lock);
  } catch (error) {
    // Another process has removed it.
    if (error.code !== 'ENOENT') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  return true;
}

function isHeld(lock) {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return true;
  } catch (error) {
    if (error.code === 'EPERM') return true;
    if (error.code === 'ESRCH' || error.code === 'ENOENT') return false;
    throw error;
  }
}

function pause() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
}
