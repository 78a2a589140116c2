import { formatBytes } from '../core/format';
import { RateMeter, workOf } from '../core/rate-meter';
import type { CheckProgress, CheckSample } from '../repository/check-progress';
import { Bars } from './bars';
import type { Output } from './output';
import { ProgressLines } from './progress-lines';
import { isOver } from './wait';

const POLL_INTERVAL_MS = 250;

/** Long enough to smooth small files, short enough to follow a disk that slows down. */
const RATE_WINDOW_MS = 15_000;

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
  const bars = new Bars('{percentage}% |{bar}| {text}');
  bars.update(0, { text: 'starting' });
  return {
    update: (view) => {
      const [path = ''] = view.currentFiles;
      bars.update(view.fraction, { text: `${describeView(view)}  ${path}` });
    },
    stop: () => bars.stop(),
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
  let lines = new ProgressLines();
  let { phase }: { phase: CheckView['phase'] } = { phase: 'records' };
  return {
    update: (view) => {
      // Each phase is a whole of its own.
      if (view.phase !== phase) lines = new ProgressLines();
      phase = view.phase;
      const line = lines.next({ state: phase, fraction: view.fraction, text: `${(view.fraction * 100).toFixed(0)}%  ${describeView(view)}`, waitingFor: null }, performance.now());
      if (line !== undefined) output.note(line);
    },
    stop: () => undefined,
  };
}
