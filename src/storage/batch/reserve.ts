import * as fs from 'node:fs';
import { join } from 'node:path';
import type { OpenDirectory } from '../directory';
import { isErrno } from '../errors';
import { removeTree } from '../remove-tree';
import { runDirectory, runEntries, type RunLocation } from './run-directory';

/** A few journals of a thousand files each, and the records at the end. */
const RESERVE_BYTES = 2 * 1024 * 1024;

/** As many files as those are: a disk may be full of names alone. */
const RESERVE_FILES = 16;

const BYTES_NAME = 'bytes';

/** Sets space aside for what a run has to write about itself when its copies have filled the disk. Repeated, it finds it. @throws errno names */
export function setAside(run: OpenDirectory): void {
  const directory = run.entry(runEntries.reserve);
  try {
    fs.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    // Of a run that an earlier program began: one file with all of it.
    if (!fs.lstatSync(directory).isDirectory()) return;
  }
  fs.writeFileSync(join(directory, BYTES_NAME), Buffer.alloc(RESERVE_BYTES, 1), { mode: 0o600 });
  for (let index = 1; index < RESERVE_FILES; index += 1) fs.writeFileSync(join(directory, String(index)), '', { mode: 0o600 });
}

/** Gives it back, to be written to. @param location opened; see `inRun` */
export function releaseReserve(location: RunLocation): void {
  removeTree(runDirectory(location), runEntries.reserve);
}

/** Writes something of the run's own, with what was set aside where the disk is full. @throws errno names, what `write` throws */
export function withReserve<T>(location: RunLocation, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
    releaseReserve(location);
    return write();
  }
}
