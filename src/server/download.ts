import { chmodSync, closeSync, fsyncSync, linkSync, mkdirSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf } from './errors';
import { isExecutable } from './executable';
import { identifyProcess } from './process-identity';

/** A way to get a program that is not on this machine. */
export interface Download {
  readonly origin: 'sdkDownload' | 'pythonWheel';
  /** How messages name it. */
  readonly title: string;
  /** Puts the program somewhere into the empty folder and returns its path. @throws Error with the reason */
  fetch(folder: string, env: NodeJS.ProcessEnv): Promise<string>;
}

const EXECUTABLE = 0o755;
const FOLDER_NAME = /^download-(\d+)-/;

/**
 * Downloads a program and puts it at `destination` in one step: others see the whole file or none, and of two
 * processes at once the first one's stays. The check throws when the program does not work here.
 */
export async function install(
  download: Download,
  destination: string,
  env: NodeJS.ProcessEnv,
  check: (path: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(destination);
  mkdirSync(directory, { recursive: true });
  removeAbandoned(directory);
  const folder = mkdtempSync(join(directory, `download-${process.pid}-`));
  try {
    const program = await download.fetch(folder, env);
    chmodSync(program, EXECUTABLE);
    await check(program);
    synchronise(program);
    giveName(program, destination);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A program that is there already is never exchanged for another: its digest may be known by then. */
function giveName(program: string, destination: string): void {
  if (!isExecutable(destination)) rmSync(destination, { force: true });
  try {
    linkSync(program, destination);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? '')) throw error;
    // A file system without hard links.
    renameSync(program, destination);
  }
}

/** Removes the folders of downloads that were killed. */
function removeAbandoned(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = FOLDER_NAME.exec(name)?.[1];
    if (pid && !identifyProcess(Number(pid))) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

/** A power cut must not leave an empty program under the final name. */
function synchronise(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
