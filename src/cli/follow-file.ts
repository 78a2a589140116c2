import { SingleBar } from 'cli-progress';
import type { BackupClient, FileBackupHandle } from '../client/backup-client';
import { formatBytes } from '../core/format';
import type { FileBackupOutput } from '../models';
import { lineFormat } from './line-format';
import type { Output } from './output';
import { isOver } from './wait';

const POLL_INTERVAL_MS = 500;

/** What the steps are called on the screen. */
const labels: Readonly<Record<string, string>> = {
  inspectFile: 'looking',
  prepareStaging: 'preparing',
  stageFile: 'copying',
  writeTarget: 'copying',
  verifyFile: 'verifying',
  verifyTarget: 'verifying',
  publishFile: 'publishing',
  finalizeFile: 'cleaning up',
  unpublishFile: 'undoing',
  discardStaging: 'undoing',
};

/** Shows a run while it lasts and answers its record: a bar on a terminal, an event for each step, retry and wait otherwise. */
export async function followFile(client: BackupClient, handle: FileBackupHandle, sizeBytes: number, output: Output): Promise<FileBackupOutput> {
  const show = process.stderr.isTTY && !output.isJson ? createBar(sizeBytes) : createEvents(output, sizeBytes);
  let ended = false;
  const result = handle.result().finally(() => (ended = true));
  result.catch(() => undefined);
  try {
    while (!(await isOver(result, POLL_INTERVAL_MS))) {
      const progress = await client.progress(handle);
      if (ended) break;
      // Reset, it is followed by another execution.
      if (!progress.isRunning) continue;
      const waiting = progress.step === undefined ? await client.waitingFor(handle).catch(() => null) : (progress.lastFailure ?? null);
      show.update(progress.step, progress.movedBytes, waiting === null ? null : `attempt ${progress.attempt}: ${waiting}`);
    }
    return await result;
  } finally {
    show.stop();
  }
}

interface Display {
  update(step: string | undefined, movedBytes: number, waiting: string | null): void;
  stop(): void;
}

function createBar(sizeBytes: number): Display {
  const bar = new SingleBar({ format: lineFormat('{label} |{bar}| {percentage}% {moved} of {size} {waiting}'), stream: process.stderr, clearOnComplete: true, hideCursor: true });
  bar.start(Math.max(1, sizeBytes), 0, { label: 'starting', moved: '0 B', size: formatBytes(sizeBytes), waiting: '' });
  return {
    update: (step, movedBytes, waiting) =>
      bar.update(Math.min(movedBytes, sizeBytes), { label: labels[step ?? ''] ?? step ?? 'waiting', moved: formatBytes(movedBytes), waiting: waiting ?? '' }),
    stop: () => bar.stop(),
  };
}

function createEvents(output: Output, sizeBytes: number): Display {
  let last = '';
  return {
    update: (step, movedBytes, waiting) => {
      const label = labels[step ?? ''] ?? 'waiting';
      const percent = sizeBytes === 0 ? 0 : Math.floor((movedBytes / sizeBytes) * 10) * 10;
      const line = [label, percent > 0 ? `${percent} %` : '', waiting ?? ''].filter((part) => part !== '').join(' ');
      if (line === last) return;
      last = line;
      output.event('status', { step, movedBytes, sizeBytes, waitingFor: waiting }, line);
    },
    stop: () => undefined,
  };
}
