import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { absoluteEntries } from '../core/search-path';
import { codeOf, reasonOf } from './errors';
import { whyNotTrusted } from './trusted-path';

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

/** A program on PATH. */
export interface FoundProgram {
  readonly path: string;
  /** Why it is not to be run: somebody else could exchange it. */
  readonly distrust: string | undefined;
}

/** The programs of a name on PATH, in its order. Relative entries are left out: they would find what lies in the folder that is being backed up. */
export function programsOnPath(name: string, searchPath: string): FoundProgram[] {
  const paths = absoluteEntries(searchPath).map((folder) => join(folder, name)).filter(isExecutable);
  return paths.map((path) => ({ path, distrust: whyNotTrusted(path) }));
}

/** Why this program cannot serve as the Temporal CLI; undefined when it can. Starts it once. */
export async function lackOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['server', 'start-dev', '--help'], { timeout: HELP_WITHIN_MS, cwd: '/' });
    const missing = NEEDED_OPTIONS.filter((option) => !stdout.includes(option));
    return missing.length === 0 ? undefined : `${path} is no Temporal CLI, or too old: «server start-dev» lacks ${missing.join(', ')}`;
  } catch (error) {
    return `${path} is no Temporal CLI: ${reasonOf(error).split('\n', 1)[0]}`;
  }
}
