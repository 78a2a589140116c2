import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { syncNamesIn } from './files';
import type { StateFiles } from './state-files';

/** What belongs to a database: itself and the files that it keeps beside itself while it is open. */
const parts = ['', '-wal', '-shm'];

/**
 * Before a server is started: notes down that there is no database yet, for as long as a new one was never ready. One that
 * still carries such a note has a start behind it that was cut off while it was made, by a kill or a full disk: no server
 * gets on with it, and nobody ever had anything in it. It is moved aside and made anew. One without a note was ready once,
 * or is of an earlier version: it is never touched. Only the holder of the lock may call this.
 * @throws errno errors of the state directory
 */
export function beginDatabase(files: StateFiles, log: (message: string) => void): void {
  const note = noteOf(files);
  const [isThere, isNoted] = [existsSync(files.database), existsSync(note)];
  if (isThere && !isNoted) return;
  if (!isNoted) writeFileSync(note, '', { mode: 0o600, flush: true });
  // Before the database: without its note it would be taken for one that was ready.
  syncNamesIn(files.directory);
  if (!isThere) return;
  log(`The first start on the database ${files.database} was cut off before it was ready: it is made anew.`);
  for (const part of parts) if (existsSync(files.database + part)) renameSync(files.database + part, `${files.database}.unfinished${part}`);
}

/**
 * The server is ready: from now on its database is kept, whatever happens. Durable before anybody hears of the server, who
 * might begin something on it. Only the holder of the lock may call this.
 * @throws errno errors of the state directory
 */
export function endDatabaseStart(files: StateFiles): void {
  const note = noteOf(files);
  if (!existsSync(note)) return;
  rmSync(note);
  syncNamesIn(files.directory);
  for (const part of parts) rmSync(`${files.database}.unfinished${part}`, { force: true });
}

function noteOf({ database }: StateFiles): string {
  return `${database}.unready`;
}
