import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readIfPresent, replaceFile } from './files';
import { isAlive, ownIdentity, parseIdentity } from './process-identity';

/** Registers this process as a user of the server; one process may do so several times. Returns the registration. */
export function registerUser(directory: string): string {
  const identity = ownIdentity();
  const registration = join(directory, `${identity.pid}-${randomUUID()}.json`);
  replaceFile(registration, JSON.stringify(identity));
  return registration;
}

/** Takes a registration back. */
export function unregisterUser(registration: string): void {
  rmSync(registration, { force: true });
}

/** The pids of the registered users that still run. Registrations of processes that are gone are removed. */
export function liveUsers(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const identity = parseIdentity(readIfPresent(path));
    if (identity && isAlive(identity)) return [identity.pid];
    rmSync(path, { force: true });
    return [];
  });
}
