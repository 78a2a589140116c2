import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import { discardAttempt, stagingLocations, syncAttempt } from './attempt-directory';
import type { ChunkTask, EntryFailure, RunSettings } from './chunk';
import type { ChunkFile } from './chunk-file';
import { nothingLeftToDo, readLines, reportOf, requireJournal, syncJournals, type ChunkReport } from './journal';
import { isOver, requireOwner } from './open-run';
import { publishChunk } from './publish-chunk';
import { stageChunk } from './stage-chunk';
import type { StagedChunk } from './stage-files';
import { fullText } from './free-space';
import { requireSynced } from './group-sync';
import { runHolder } from './run-directory';
import { inTask } from './run-mark';

/** Backs one chunk up; see `workOff`. */
export function backUpChunk(task: ChunkTask, control: TransferControl): ChunkReport {
  return workOff(task, stageChunk, control);
}

/**
 * Does one chunk: stages its files, makes them durable at once, reads them back, publishes them and writes the
 * journal, all in one thread, so that nothing of a thousand files travels between threads. A chunk whose journal is
 * there is done, and is not done again.
 * @throws StorageError `NotOwnRun`, `StagingRevoked`, `RunAltered`, `Cancelled`, what made the destination ill, errno names of the run's own files
 */
export function workOff<Settings extends RunSettings>(task: ChunkTask<Settings>, stage: Staging<Settings>, control: TransferControl): ChunkReport {
  return inTask(task, (opened) => workIn(opened, stage, control));
}

type Staging<Settings extends RunSettings> = (task: ChunkTask<Settings>, control: TransferControl) => StagedChunk;

function workIn<Settings extends RunSettings>(task: ChunkTask<Settings>, stage: Staging<Settings>, control: TransferControl): ChunkReport {
  const { location, syncEach } = task.settings;
  requireOwner(location, task.owner);
  if (isOver(location)) return nothingLeftToDo(task);
  const done = readLines(location, task.chunk);
  requireJournal(task, done);
  if (done !== undefined && done.outcome.pass >= task.pass) {
    syncJournals(location);
    return reportOf(done);
  }
  const staged = stage(task, control);
  giveUpIfIll(task, staged.files);
  if (syncEach) syncAttempt(task);
  else requireSynced(location, control);
  return publishChunk(task, staged, control);
}

/** Many failures that blame the destination: the attempt goes, and the chunk as a whole waits and is tried again. */
export function giveUpIfIll(task: ChunkTask<RunSettings>, files: readonly (Pick<ChunkFile, 'failure'> & { readonly settled: unknown })[]): void {
  const illness = illnessOf(files.filter(({ settled }) => settled === undefined), task);
  if (illness === undefined) return;
  discardAttempt(task);
  throw new StorageError(illness.code, illness.side, '', illness.message);
}

function illnessOf(files: readonly Pick<ChunkFile, 'failure'>[], { settings, illness }: ChunkTask<RunSettings>): EntryFailure | undefined {
  const { codes, space, isLast, mostFailures } = illness;
  const isMany = (failures: readonly EntryFailure[]): boolean => failures.length > Math.min(mostFailures, files.length / 2);
  const failures = files.flatMap(({ failure }) => (failure !== undefined && codes[failure.side].includes(failure.code) ? [failure] : []));
  const forWantOfSpace = failures.filter(({ code }) => space.includes(code));
  const others = failures.filter((failure) => !forWantOfSpace.includes(failure));
  if (isMany(others)) return others[0];
  const [full] = forWantOfSpace;
  if (full === undefined || isLast) return undefined;
  const message = whyFull(settings, forWantOfSpace, isMany(forWantOfSpace));
  return message === undefined ? undefined : { ...full, message };
}

/**
 * Says that the destination is full, if it is one where files have failed for want of space; undefined where only they were
 * too large for what is left.
 * @param areMany of a chunk, so that a quota is used up as a whole
 */
export function whyFull(settings: RunSettings, failures: readonly EntryFailure[], areMany: boolean): string | undefined {
  return fullText(stagingLocations(settings).map(runHolder), areMany && failures.some(({ code }) => code === 'EDQUOT'));
}
