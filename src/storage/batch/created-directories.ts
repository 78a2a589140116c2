import * as fs from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../../core/parse-json';
import { isErrno } from '../errors';
import { removeEmptyParents } from '../parents';
import { bytewise, fromJsonPath, toJsonPath, type JsonPath, type PathBytes } from '../path-bytes';
import { inRun } from './run-mark';
import { runDirectory, runEntries, type RunLocation } from './run-directory';

/** Below the run's staging directory, one path a line: written before a directory is made, by whichever attempt makes it. */
const RECORD = 'directories';
const COMPLETE = /^(?:"(?:[^"\\]|\\.)*"|\{"base64":"[^"]*"\})$/;

/** Remembers parents of targets that are about to be created, so that undo finds them whatever becomes of the attempt. */
export function noteCreatedDirectories(location: RunLocation, directories: readonly PathBytes[]): void {
  const path = join(runDirectory(location), runEntries.staging, RECORD);
  fs.writeFileSync(path, directories.map((directory) => `\n${JSON.stringify(toJsonPath(directory))}\n`).join(''), { flag: 'a', mode: 0o600, flush: true });
}

/** Undo of all of them, once no target is left in them: those that hold something of somebody else stay. */
export function removeCreatedDirectories(location: RunLocation): void {
  const directories = new Map(inRun(location, readRecord).map((path) => [bytewise(path), path]));
  // Each by itself, deepest first: one that holds something keeps only its own parents.
  for (const [, path] of [...directories].sort(([a], [b]) => b.split('/').length - a.split('/').length)) removeEmptyParents(location.root, [path]);
}

function readRecord(location: RunLocation): PathBytes[] {
  try {
    const lines = fs.readFileSync(join(runDirectory(location), runEntries.revoked, RECORD), 'utf8').split('\n');
    // A line that breaks off was not written completely, and its directory not made.
    return lines.filter((line) => COMPLETE.test(line)).map((line) => fromJsonPath(parseJson(line) as JsonPath));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
