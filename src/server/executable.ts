import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { codeOf, reasonOf } from './errors';

const run = promisify(execFile);

/** What the embedded server is started with; a Temporal CLI that is too old lacks some of it. */
const NEEDED_OPTIONS = ['--db-filename', '--sqlite-pragma', '--search-attribute', '--http-port', '--ui-port', '--ip'];
const HELP_WITHIN_MS = 10_000;

/** Whether the path is a file that this user may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Why this program cannot serve as the Temporal CLI; undefined when it can. Starts it once. */
export async function lackOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['server', 'start-dev', '--help'], { timeout: HELP_WITHIN_MS });
    const missing = NEEDED_OPTIONS.filter((option) => !stdout.includes(option));
    return missing.length === 0 ? undefined : `${path} is no Temporal CLI, or too old: «server start-dev» lacks ${missing.join(', ')}`;
  } catch (error) {
    return `${path} is no Temporal CLI: ${reasonOf(error).split('\n', 1)[0]}`;
  }
}
