import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { TransferControl } from '../control';
import { copyPrevious } from '../copy-previous';
import { isErrno } from '../errors';
import { isLinkRefused } from '../hard-links';
import { pathText, type PathBytes } from '../path-bytes';

/**
 * Names of previous targets that are kept until the run is committed, below the run's staging directory. A folder for each
 * chunk: undo looks through the files of one chunk without meeting those of all others.
 */
export function keptDirectory(chunk: number): string {
  return `kept-${chunk}`;
}

/** Name of one previous target, by the attempt that kept it and the file's place in the chunk. */
export function keptName(chunk: number, attemptName: string, index: string): string {
  return `${keptDirectory(chunk)}/${attemptName}-${index}`;
}

const OURS = '-ours';

/** Second link of the file that replaced it: undo tells ours by it. */
export function oursName(kept: string): string {
  return `${kept}${OURS}`;
}

/** The name of a previous target, of itself or of its `oursName`, with the place of the file in its chunk. */
export function parseKeptName(name: string): { readonly kept: string; readonly index: number } {
  const kept = name.endsWith(OURS) ? name.slice(0, -OURS.length) : name;
  return { kept, index: Number(kept.slice(kept.lastIndexOf('-') + 1)) };
}

/**
 * Keeps what lies at a target, and a second link of what is about to replace it. Of a target that gets no further link, as
 * it has as many as it can have, a copy is kept.
 * @param attempt the staging directory of this attempt
 * @throws StorageError `DestinationConflict`, `Cancelled`, errno names
 */
export function keepPrevious(attempt: string, kept: string, target: PathBytes, staged: string, control: TransferControl): void {
  const staging = join(attempt, '..');
  makeKeptDirectory(join(staging, kept, '..'));
  linkOrCopy(target, join(staging, kept), attempt, control);
  fs.linkSync(staged, join(staging, oursName(kept)));
}

function linkOrCopy(target: PathBytes, kept: string, attempt: string, control: TransferControl): void {
  const stats = fs.lstatSync(target, { bigint: true });
  try {
    fs.linkSync(target, kept);
  } catch (error) {
    if (!isLinkRefused(error)) throw error;
    // Not among the kept files, whose names undo takes for what they say, before it is whole.
    copyPrevious(target, stats, kept, pathText(target), control, join(attempt, `previous-${randomUUID()}`));
  }
}

/** Below the fence: where staging was renamed away this finds no path. */
function makeKeptDirectory(path: string): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}
