import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { JournalSums } from '../../../core/journal-sums';
import { isForgotten } from '../../batch/discard-run';
import { withDraft } from '../../batch/draft';
import { requireSynced } from '../../batch/group-sync';
import { requireOwner, type RunGround, type RunOwner } from '../../batch/open-run';
import { runDirectory, runEntries } from '../../batch/run-directory';
import { readTaggedRecord, taggedRecord } from '../../batch/tagged-record';
import { revokeRun } from '../../batch/undo-chunk';
import type { TransferControl } from '../../control';
import { syncDirectory } from '../../directory';
import { blaming, StorageError } from '../../errors';
import type { RestoreSettings } from './request';
import { finishedRestore, type FinishedRestore } from './finished-restore';
import { RestoreTally, SAMPLE } from './restore-tally';
import { TreeRestorer } from './restore-tree';
import { treeItems } from './read-items';
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
  const { location } = request.settings;
  const run = runDirectory(location);
  return blaming('destination', run, () => {
    if (isForgotten(location, request.ground)) throw new StorageError('StagingRevoked', 'destination', location.destination, `The restore to ${location.destination} has ended already`);
    requireOwner(location, request.owner);
    revokeRun(location);
    // The directories and links to come may be what it was kept for.
    fs.rmSync(join(run, runEntries.reserve), { force: true });
    return readTaggedRecord(location, runEntries.summary, finishedRestore) ?? withDraft(run, runEntries.failures, (failures) => {
      const tally = new RestoreTally(failures);
      restoreTree(request, tally, control);
      if (!request.settings.syncEach) requireSynced(location, control);
      failures.close();
      const summary = tally.summary();
      const finished = { ...summary, failuresPath: summary.failed > SAMPLE ? join(run, runEntries.failures) : null };
      withDraft(run, runEntries.summary, (draft) => draft.write(taggedRecord(location, runEntries.summary, finished)));
      syncDirectory(run);
      return finished;
    });
  });
}

function restoreTree({ settings, chunks, known, cancelled }: FinishRequest, tally: RestoreTally, control: TransferControl): void {
  const { location, overwrite } = settings;
  const firstNames = new FirstNames(treeItems(location));
  countFiles({ location, chunks, overwrite, known }, firstNames, tally, control);
  const staging = join(runDirectory(location), `.${randomUUID()}`);
  fs.mkdirSync(staging, { mode: 0o700 });
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
    fs.rmSync(staging, { recursive: true, force: true });
  }
}
