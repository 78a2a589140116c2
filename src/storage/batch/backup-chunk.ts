import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import { discardAttempt, syncAttempt } from './attempt-directory';
import type { ChunkTask, EntryFailure, IllnessRule, RunSettings } from './chunk';
import type { ChunkFile } from './chunk-file';
import { readLines, reportOf, requireJournal, syncJournals, type ChunkReport } from './journal';
import { requireOwner } from './open-run';
import { publishChunk } from './publish-chunk';
import { stageChunk } from './stage-chunk';
import type { StagedChunk } from './stage-files';
import { requireSynced } from './group-sync';
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
  const illness = illnessOf(files.filter(({ settled }) => settled === undefined), task.illness);
  if (illness === undefined) return;
  discardAttempt(task);
  throw new StorageError(illness.code, illness.side, '', illness.message);
}

function illnessOf(files: readonly Pick<ChunkFile, 'failure'>[], { codes, borne, mostFailures }: IllnessRule): EntryFailure | undefined {
  const failures = files.flatMap(({ failure }) => (failure !== undefined && codes[failure.side].includes(failure.code) ? [failure] : []));
  const [first] = failures;
  if (first === undefined || failures.length <= Math.min(mostFailures, files.length / 2)) return undefined;
  return borne.includes(first.code) ? undefined : first;
}
