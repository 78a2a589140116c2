import { formatBytes } from '../core/format';
import type { FileBackupOutput } from '../models';
import { Bars } from './bars';
import { followRun, type Display, type Following } from './following';
import type { Output } from './output';
import { ProgressLines } from './progress-lines';

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

/** Shows a run while it lasts and answers its record: a bar on a terminal, an event for each step, retry and wait with `--json`, a line now and then otherwise. */
export async function followFile(following: Following<FileBackupOutput>, sizeBytes: number): Promise<FileBackupOutput> {
  const { client, handle, output, isDrawn } = following;
  const show = isDrawn ? createBar(sizeBytes) : output.isJson ? createEvents(output, sizeBytes) : createLines(output, sizeBytes);
  return followRun(following, show, async () => {
    const { isRunning, step, attempt, movedBytes, lastFailure, paused } = await client.progress(handle);
    if (!isRunning) return undefined;
    const waitingFor = paused ?? (step === undefined ? await client.waitingFor(handle).catch(() => null) : (lastFailure ?? null));
    return () => show.update({ step, attempt, movedBytes, waitingFor });
  });
}

interface FileView {
  readonly step: string | undefined;
  readonly attempt: number;
  readonly movedBytes: number;
  readonly waitingFor: string | null;
}

interface FileDisplay extends Display {
  update(view: FileView): void;
}

function labelOf(step: string | undefined): string {
  return labels[step ?? ''] ?? step ?? 'waiting';
}

function withAttempt({ attempt, waitingFor }: FileView): string {
  return waitingFor === null ? '' : `attempt ${attempt}: ${waitingFor}`;
}

function fractionOf({ movedBytes }: FileView, sizeBytes: number): number {
  return sizeBytes === 0 ? 0 : Math.min(1, movedBytes / sizeBytes);
}

function createBar(sizeBytes: number): FileDisplay {
  const bars = new Bars('{label} |{bar}| {percentage}% {moved} of {size} {waiting}');
  bars.update(0, { label: 'starting', moved: formatBytes(0), size: formatBytes(sizeBytes), waiting: '' });
  return {
    update: (view) => bars.update(fractionOf(view, sizeBytes), { label: labelOf(view.step), moved: formatBytes(view.movedBytes), size: formatBytes(sizeBytes), waiting: withAttempt(view) }),
    stop: () => bars.stop(),
  };
}

function createEvents(output: Output, sizeBytes: number): FileDisplay {
  let last = '';
  return {
    update: (view) => {
      const { step, movedBytes } = view;
      const waitingFor = view.waitingFor === null ? null : withAttempt(view);
      const key = JSON.stringify([step, Math.floor(fractionOf(view, sizeBytes) * 10), waitingFor]);
      if (key === last) return;
      last = key;
      output.event('status', { step, movedBytes, sizeBytes, waitingFor }, '');
    },
    stop: () => undefined,
  };
}

function createLines(output: Output, sizeBytes: number): FileDisplay {
  const lines = new ProgressLines();
  return {
    update: (view) => {
      const state = labelOf(view.step);
      const fraction = fractionOf(view, sizeBytes);
      const percent = Math.floor(fraction * 10) * 10;
      const text = [state, percent > 0 ? `${percent} %` : '', view.waitingFor === null ? '' : `attempt ${view.attempt}`].filter((part) => part !== '').join(' ');
      const line = lines.next({ state, fraction, text, waitingFor: view.waitingFor }, performance.now());
      if (line !== undefined) output.note(line);
    },
    stop: () => undefined,
  };
}
