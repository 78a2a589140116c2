import { MultiBar, type SingleBar } from 'cli-progress';
import type { BackupClient, RunHandle } from '../client/backup-client';
import { formatBytes, formatDuration } from '../core/format';
import { RateMeter } from '../core/rate-meter';
import { batchView, type BatchView } from './batch-view';
import { lineFormat } from './line-format';
import type { Output } from './output';
import { isOver } from './wait';

const POLL_INTERVAL_MS = 500;

/** Long enough to smooth chunks, short enough to follow a disk that slows down. */
const RATE_WINDOW_MS = 15_000;

/** Files under way that are named on a terminal. */
const SHOWN_FILES = 4;

/** Without a terminal a line each time that so much more is done, and at least once in so long. */
const LINE_EVERY_FRACTION = 0.1;
const LINE_EVERY_MS = 60_000;

/** Shows a run of many files while it lasts and answers its record: a bar on a terminal, objects with `--json`, a few lines otherwise. */
export async function followBatch<Result>(client: BackupClient, handle: RunHandle<Result>, output: Output): Promise<Result> {
  const show = output.isJson ? createObjects(output) : process.stderr.isTTY ? createBars() : createLines(output);
  const meter = new RateMeter(RATE_WINDOW_MS);
  const result = handle.result();
  result.catch(() => undefined);
  try {
    while (!(await isOver(result, POLL_INTERVAL_MS))) {
      const progress = await client.batchProgress(handle);
      // Reset, it is followed by another execution.
      if (progress.isRunning) show.update(batchView(progress, meter, performance.now()));
    }
    return await result;
  } finally {
    show.stop();
  }
}

interface Display {
  update(view: BatchView): void;
  stop(): void;
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

function createBars(): Display {
  const bars = new MultiBar({ stream: process.stderr, clearOnComplete: true, hideCursor: true, linewrap: false, forceRedraw: true });
  const total = bars.create(1000, 0, { text: 'starting' }, { format: lineFormat('{percentage}% |{bar}| {text}'), barsize: 24 });
  let lines: SingleBar[] = [];
  const setLines = (texts: readonly string[]): void => {
    while (lines.length > texts.length) bars.remove(lines.pop() as SingleBar);
    lines = texts.map((text, index) => {
      const line = lines[index] ?? bars.create(1, 0, { text }, { format: lineFormat('{text}') });
      line.update(0, { text });
      return line;
    });
  };
  return {
    update: (view) => {
      total.update(Math.floor(view.fraction * 1000), { text: describeView(view) });
      const waiting = view.waitingFor === null ? [] : [`  ${view.waitingFor}`];
      setLines([...waiting, ...view.currentFiles.slice(0, SHOWN_FILES).map((path) => `  ${path}`)]);
    },
    stop: () => bars.stop(),
  };
}

function createObjects(output: Output): Display {
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

function createLines(output: Output): Display {
  let last = { fraction: 0, atMs: performance.now(), state: '', waitingFor: null as string | null };
  return {
    update: (view) => {
      const atMs = performance.now();
      const isNews = view.state !== last.state || view.waitingFor !== last.waitingFor || view.fraction >= last.fraction + LINE_EVERY_FRACTION || atMs > last.atMs + LINE_EVERY_MS;
      if (!isNews) return;
      last = { fraction: view.fraction, atMs, state: view.state, waitingFor: view.waitingFor };
      output.note(`${describeView(view)}${view.waitingFor === null ? '' : `: ${view.waitingFor}`}`);
    },
    stop: () => undefined,
  };
}
