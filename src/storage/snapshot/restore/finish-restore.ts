import { join } from 'node:path';
import type { JournalSums } from '../../../core/journal-sums';
import { stagingLocations } from '../../batch/attempt-directory';
import { endedAlready, isForgotten } from '../../batch/discard-run';
import { withDraft } from '../../batch/draft';
import { requireSynced } from '../../batch/group-sync';
import { requireOwner, type RunGround } from '../../batch/open-run';
import { releaseReserve } from '../../batch/reserve';
import { runDirectory, runEntries, runPath } from '../../batch/run-directory';
import { inPlaces, type RunOwner } from '../../batch/run-mark';
import { readTaggedRecord, taggedRecord } from '../../batch/tagged-record';
import { revokeRun } from '../../batch/undo-chunk';
import type { TransferControl } from '../../control';
import { syncDirectory } from '../../directory';
import { blaming } from '../../errors';
import type { RestoreSettings } from './request';
import { finishedRestore, type FinishedRestore } from './finished-restore';
import { RestoreTally, SAMPLE } from './restore-tally';
import { TreeRestorer } from './restore-tree';
import { treeItems } from './read-items';
import { TreeStaging } from './tree-staging';
import { countFiles, FirstNames } from './restored-files';

export interface FinishRequest {
  readonly settings: RestoreSettings;
  readonly owner: RunOwner;
  readonly ground: RunGround;
  readonly chunks: number;
  /** What history knows of the run's journals. */
  readonly known?: JournalSums;
  /** Nothing more is made; what is there is put right, and all else counts as skipped. */
  readonly cancelled: boolean;
}

/**
 * Ends a restore: fences its chunks off, makes directories, links and FIFOs, puts directories right, makes all of it
 * durable, and adds everything up. Repeated, it answers the summary that it wrote.
 * @throws StorageError `StagingRevoked` when the run was closed already, `NotOwnRun`, `DestinationGone`, `DestinationError`, `Cancelled`, errno names
 */
export function finishRestore(request: FinishRequest, control: TransferControl): FinishedRestore {
  const { settings, ground } = request;
  const { location } = settings;
  return blaming('destination', runPath(location), () => {
    if (isForgotten(location, ground)) throw endedAlready(location);
    return inPlaces(settings, (opened) => finishIn({ ...request, settings: opened }, control));
  });
}

function finishIn(request: FinishRequest, control: TransferControl): FinishedRestore {
  const { location, syncEach } = request.settings;
  const run = runDirectory(location);
  requireOwner(location, request.owner);
  for (const each of stagingLocations(request.settings)) revokeRun(each);
  // The directories and links to come may be what it was kept for.
  releaseReserve(location);
  return readTaggedRecord(location, runEntries.summary, finishedRestore) ?? withDraft(run, runEntries.failures, (failures) => {
    const tally = new RestoreTally(failures);
    restoreTree(request, tally, control);
    if (!syncEach) requireSynced(location, control);
    failures.close();
    const summary = tally.summary();
    const finished = { ...summary, failuresPath: summary.failed > SAMPLE ? join(runPath(location), runEntries.failures) : null };
    withDraft(run, runEntries.summary, (draft) => draft.write(taggedRecord(location, runEntries.summary, finished)));
    syncDirectory(run);
    return finished;
  });
}

function restoreTree({ settings, chunks, known, cancelled }: FinishRequest, tally: RestoreTally, control: TransferControl): void {
  const { location, overwrite } = settings;
  const firstNames = new FirstNames(treeItems(location));
  countFiles({ location, chunks, overwrite, known }, firstNames, tally, control);
  const staging = new TreeStaging(settings);
  const restorer = new TreeRestorer(settings, staging, firstNames, tally, control);
  try {
    for (const item of treeItems(location)) {
      if (cancelled) restorer.oneOfCancelled(item);
      else restorer.one(item);
      control.finishFile();
    }
    restorer.end();
  } finally {
    restorer.close();
    staging.remove();
  }
}
