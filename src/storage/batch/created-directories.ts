import * as fs from 'node:fs';
import { join } from 'node:path';
import { isBelow } from '../../core/roots';
import { syncDirectory } from '../directory';
import { removeEmptyParents } from '../parents';
import { bytewise, fromJsonPath, toJsonPath, type PathBytes } from '../path-bytes';
import { absoluteBelowRoot } from '../records/fields';
import { parseOwn, readOwnFile, type OwnFile } from '../records/own-file';
import { inRun } from './run-mark';
import { runDirectory, runEntries, type RunLocation } from './run-directory';
import { alteredRun } from './run-proof';

/** Below the run's staging directory, one path a line: written before a directory is made, by whichever attempt makes it. */
const RECORD = 'directories';
const COMPLETE = /^(?:"(?:[^"\\]|\\.)*"|\{"base64":"[^"]*"\})$/;

/** Remembers parents of targets that are about to be created, so that undo finds them whatever becomes of the attempt. */
export function noteCreatedDirectories(location: RunLocation, directories: readonly PathBytes[], syncEach: boolean): void {
  const staging = join(runDirectory(location), runEntries.staging);
  const path = join(staging, RECORD);
  fs.writeFileSync(path, directories.map((directory) => `\n${JSON.stringify(toJsonPath(directory))}\n`).join(''), { flag: 'a', mode: 0o600, flush: true });
  if (syncEach) syncDirectory(staging);
}

/** Undo of all of them, once no target is left in them: those that hold something of somebody else stay. */
export function removeCreatedDirectories(location: RunLocation): void {
  const directories = new Map(inRun(location, readRecord).map((path) => [bytewise(path), path]));
  // Each by itself, deepest first: one that holds something keeps only its own parents.
  for (const [, path] of [...directories].sort(([a], [b]) => b.split('/').length - a.split('/').length)) removeEmptyParents(location.root, [path]);
}

const record: OwnFile = { side: 'destination', maxBytes: 1024 * 1024 * 1024, refuse: alteredRun };

/** @throws StorageError `RunAltered` for one that is not below the destination, where alone a run makes directories for its targets */
function readRecord(location: RunLocation): PathBytes[] {
  const path = join(runDirectory(location), runEntries.revoked, RECORD);
  const lines = readOwnFile(path, record)?.toString('utf8').split('\n') ?? [];
  // A line that breaks off was not written completely, and its directory not made.
  return lines.filter((line) => COMPLETE.test(line)).map((line) => {
    const directory = fromJsonPath(parseOwn(line, absoluteBelowRoot, (why) => alteredRun(path, `${why} in a line`)));
    if (isBelow(bytewise(location.destination), bytewise(directory))) return directory;
    throw alteredRun(path, 'names a directory outside of the destination');
  });
}
