import { roomText } from '../core/batch-progress';
import { formatBytes, formatDuration } from '../core/format';
import { RateMeter } from '../core/rate-meter';
import { Bars } from './bars';
import { batchView, type BatchView } from './batch-view';
import { followRun, type Display, type Following } from './following';
import type { Output } from './output';
import { ProgressLines } from './progress-lines';

/** Long enough to smooth chunks, short enough to follow a disk that slows down. */
const RATE_WINDOW_MS = 15_000;

/** Files under way that are named on a terminal. */
const SHOWN_FILES = 4;

/** Shows a run of many files while it lasts and answers its record: a bar on a terminal, objects with `--json`, a few lines otherwise. */
export async function followBatch<Result>(following: Following<Result>): Promise<Result> {
  const { client, handle, output, isDrawn } = following;
  const show = output.isJson ? createObjects(output) : isDrawn ? createBars() : createLines(output);
  const meter = new RateMeter(RATE_WINDOW_MS);
  return followRun(following, show, async () => {
    const progress = await client.batchProgress(handle);
    const view = batchView(progress, meter, performance.now());
    return progress.isRunning ? () => show.update(view) : undefined;
  });
}

interface BatchDisplay extends Display {
  update(view: BatchView): void;
}

/** One line of what a batch has done. */
export function describeView(view: BatchView): string {
  if (view.state === 'planning') return `planning: ${view.totalFiles} files looked at`;
  const speed = view.bytesPerSecond > 0 ? `, ${formatBytes(view.bytesPerSecond)}/s` : '';
  const remaining = view.state === 'running' && view.remainingMs !== undefined ? `, ETA ${formatDuration(view.remainingMs)}` : '';
  const failed = view.failedFiles > 0 ? `, ${view.failedFiles} failed` : '';
  const state = view.state === 'running' ? '' : `, ${view.state}`;
  return `${view.doneFiles} of ${view.totalFiles} files, ${formatBytes(view.doneBytes)} of ${formatBytes(view.totalBytes)}${speed}${remaining}${failed}${state}`;
}

function createBars(): BatchDisplay {
  const bars = new Bars('{percentage}% |{bar}| {text}');
  bars.update(0, { text: 'starting' });
  return {
    update: (view) => {
      const waiting = view.waitingFor === null ? [] : [`  ${view.waitingFor}`];
      const space = roomText(view);
      bars.update(view.fraction, { text: describeView(view) }, [...waiting, ...(space === undefined ? [] : [`  ${space}`]), ...view.currentFiles.slice(0, SHOWN_FILES).map((path) => `  ${path}`)]);
    },
    stop: () => bars.stop(),
  };
}

function createObjects(output: Output): BatchDisplay {
  let last = '';
  return {
    update: (view) => {
      const text = JSON.stringify({ ...view, bytesPerSecond: 0, remainingMs: 0 });
      if (text === last) return;
      last = text;
      output.event('status', view, '');
    },
    stop: () => undefined,
  };
}

function createLines(output: Output): BatchDisplay {
  const lines = new ProgressLines();
  let isSpaceSaid = false;
  return {
    update: (view) => {
      const space = isSpaceSaid ? undefined : roomText(view);
      if (space !== undefined) output.note(`Space: ${space}`);
      isSpaceSaid ||= space !== undefined;
      const line = lines.next({ ...view, text: describeView(view) }, performance.now());
      if (line !== undefined) output.note(line);
    },
    stop: () => undefined,
  };
}
