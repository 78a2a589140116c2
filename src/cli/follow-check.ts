import { SingleBar } from 'cli-progress';
import { formatBytes } from '../core/format';
import { RateMeter, workOf } from '../core/rate-meter';
import type { CheckProgress, CheckSample } from '../repository/check-progress';
import { lineFormat } from './line-format';
import type { Output } from './output';
import { isOver } from './wait';

const POLL_INTERVAL_MS = 250;

/** Long enough to smooth small files, short enough to follow a disk that slows down. */
const RATE_WINDOW_MS = 15_000;

/** Without a terminal a line each so much of the whole, and at least once in so long. */
const LINE_EVERY_FRACTION = 0.1;
const LINE_EVERY_MS = 60_000;

/** Shows a check while it lasts: a bar on a terminal, objects with `--json`, a few lines otherwise. */
export async function followCheck<T>(check: Promise<T>, progress: CheckProgress, output: Output): Promise<T> {
  check.catch(() => undefined);
  const show = output.isJson ? createObjects(output) : process.stderr.isTTY ? createBar() : createLines(output);
  let meter = new RateMeter(RATE_WINDOW_MS);
  let { phase } = progress.sample();
  try {
    while (!(await isOver(check, POLL_INTERVAL_MS))) {
      const sample = progress.sample();
      if (sample.phase !== phase) meter = new RateMeter(RATE_WINDOW_MS);
      phase = sample.phase;
      const { bytesPerSecond } = meter.measure({ atMs: performance.now(), files: sample.done, sizeBytes: sample.readBytes }, { files: sample.total, sizeBytes: sample.totalBytes });
      show.update({ ...sample, fraction: fractionOf(sample), bytesPerSecond });
    }
    return await check;
  } finally {
    show.stop();
  }
}

interface CheckView extends CheckSample {
  /** 0 to 1. */
  readonly fraction: number;
  readonly bytesPerSecond: number;
}

interface Display {
  update(view: CheckView): void;
  stop(): void;
}

function fractionOf({ done, total, doneBytes, totalBytes }: CheckSample): number {
  const all = workOf({ files: total, sizeBytes: totalBytes });
  return all === 0 ? 0 : workOf({ files: done, sizeBytes: doneBytes }) / all;
}

const counted: Readonly<Record<CheckSample['phase'], string>> = { records: 'snapshots', files: 'entries', repair: 'errors' };

/** One line of where a check stands. */
function describeView({ phase, done, total, doneBytes, totalBytes, bytesPerSecond }: CheckView): string {
  const bytes = totalBytes === 0 ? '' : `, ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  const rate = totalBytes === 0 || bytesPerSecond === 0 ? '' : `, ${formatBytes(bytesPerSecond)}/s`;
  return `${done} of ${total} ${counted[phase]}${bytes}${rate}`;
}

function createBar(): Display {
  const bar = new SingleBar({ stream: process.stderr, format: lineFormat('{percentage}% |{bar}| {text}'), barsize: 24, clearOnComplete: true, hideCursor: true, linewrap: false, forceRedraw: true });
  bar.start(1000, 0, { text: 'starting' });
  return {
    update: (view) => {
      const [path = ''] = view.currentFiles;
      bar.update(Math.floor(view.fraction * 1000), { text: `${describeView(view)}  ${path}` });
    },
    stop: () => bar.stop(),
  };
}

function createObjects(output: Output): Display {
  let last = '';
  return {
    update: (view) => {
      const text = JSON.stringify({ ...view, bytesPerSecond: 0 });
      if (text === last) return;
      last = text;
      output.event('status', view, '');
    },
    stop: () => undefined,
  };
}

function createLines(output: Output): Display {
  let last = { fraction: 0, atMs: performance.now(), phase: 'records' };
  return {
    update: (view) => {
      const atMs = performance.now();
      const before = view.phase === last.phase ? last : { ...last, fraction: 0 };
      if (view.fraction < before.fraction + LINE_EVERY_FRACTION && atMs < before.atMs + LINE_EVERY_MS) return;
      last = { fraction: view.fraction, atMs, phase: view.phase };
      output.note(`${(view.fraction * 100).toFixed(0)}%  ${describeView(view)}`);
    },
    stop: () => undefined,
  };
}
