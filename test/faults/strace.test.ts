import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { FileBackupOutput } from '../../src/models';
import type { Harness } from '../helpers/backup-harness';
import { stateOf, writePrevious } from '../helpers/target-state';
import { startPlace, startWorkerProcess } from '../helpers/worker-process';

/** Whether this machine lets us trace a process of our own. */
const canTrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;
if (!canTrace) console.log('strace is missing or not permitted here: what system calls a run makes, and what it does when they fail, is not tested.');
const testTraced = canTrace ? test : test.skip;

let place: Harness;

beforeEach(async () => {
  place = await startPlace();
  writeFileSync(place.path('source'), Buffer.alloc(1_500_000, 'content'), { mode: 0o640 });
});

afterEach(() => place?.remove());

/** One backup by a worker under strace. Retries are quick, and there is one thread for file work, so that calls can be counted. */
async function traced(options: readonly string[], target: string, end: 'stop' | 'kill' = 'stop'): Promise<FileBackupOutput> {
  const { directory, stateDirectory, taskQueue } = place;
  const worker = startWorkerProcess({ directory, stateDirectory, taskQueue, under: ['strace', '-f', '--seccomp-bpf', '-qq', ...options] });
  try {
    return await place.client.backupFile({ sourcePath: place.path('source'), backupPath: target, retryDelayMs: 100 });
  } finally {
    await worker[end]();
  }
}

interface Call {
  readonly name: string;
  readonly text: string;
}

/** The calls of a trace in the order in which they ended, those that were interrupted by others put together. */
function callsOf(path: string): Call[] {
  const begun = new Map<string, string>();
  const calls: Call[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (rest.endsWith('<unfinished ...>')) begun.set(pid, rest.replace('<unfinished ...>', ''));
    else if (rest !== '') {
      const text = resumed === null ? rest : `${begun.get(pid) ?? ''}${resumed[1]}`;
      calls.push({ name: /^\w+/.exec(text)?.[0] ?? '', text });
    }
  }
  return calls;
}

/** Place of the only call of that name that matches and succeeded. */
function placeOf(calls: readonly Call[], name: string, pattern: RegExp, after = -1): number {
  const found = calls.findIndex((call, index) => index > after && call.name === name && pattern.test(call.text) && !/= -1 /.test(call.text));
  if (found < 0) throw new Error(`No ${name} of ${String(pattern)} after ${after}: ${calls.map(({ text }) => text).filter((text) => text.startsWith(name)).join('\n')}`);
  return found;
}

const TRACED = 'trace=open,openat,fsync,fdatasync,link,linkat,rename,renameat,renameat2,mkdir,unlink,unlinkat,fchmod,chmod';

testTraced('data is synced before the target gets its name, and the name before the step reports', async () => {
  const trace = place.path('trace');
  const target = place.path('new', 'target');
  expect(await traced(['-y', '-e', TRACED, '-o', trace], target)).toMatchObject({ success: true, publishedBy: 'link' });
  const calls = callsOf(trace);

  const parent = placeOf(calls, 'mkdir', /\/new"/);
  const parentSynced = placeOf(calls, 'fsync', new RegExp(`<${place.directory}>`), parent);
  const staged = placeOf(calls, 'openat', /staged-[^"]*".*O_WRONLY\|O_CREAT\|O_EXCL\|O_NOFOLLOW.*, 0600/, parentSynced);
  const dataSynced = placeOf(calls, 'fsync', /staged-/, staged);
  const published = placeOf(calls, 'link', /staged-[^"]*", "[^"]*\/target"/, dataSynced);
  const nameSynced = placeOf(calls, 'fsync', new RegExp(`<${place.directory}/new>`), published);
  // The commit begins only after publishFile has reported.
  placeOf(calls, 'rename', /\.file-backup-[^"]*", "[^"]*\.revoked"/, nameSynced);
});

testTraced('a target that is replaced is kept first, and the record of it is synced before anything is staged', async () => {
  const trace = place.path('trace');
  const target = place.path('target');
  writePrevious(target);
  expect(await traced(['-y', '-e', TRACED, '-o', trace], target)).toMatchObject({ success: true, publishedBy: 'rename' });
  const calls = callsOf(trace);

  const recordSynced = placeOf(calls, 'fsync', /record-/);
  const recorded = placeOf(calls, 'link', /record-[^"]*", "[^"]*record\.json"/, recordSynced);
  const staged = placeOf(calls, 'openat', /staged-[^"]*".*O_EXCL/, recorded);
  const dataSynced = placeOf(calls, 'fsync', /staged-/, staged);
  const kept = placeOf(calls, 'link', /\/target", "[^"]*\/previous"/, dataSynced);
  const published = placeOf(calls, 'rename', /ready-[^"]*", "[^"]*\/target"/, kept);
  const nameSynced = placeOf(calls, 'fsync', new RegExp(`<${place.directory}>`), published);
  placeOf(calls, 'rename', /\.revoked"/, nameSynced);
});

testTraced('the source is only ever opened for reading, without blocking and without following links', async () => {
  const trace = place.path('trace');
  await traced(['-e', 'trace=open,openat', '-o', trace], place.path('target'));
  const opened = callsOf(trace).filter(({ text }) => text.includes('/source"'));
  expect(opened.length).toBeGreaterThan(0);
  for (const { text } of opened) expect(text).toMatch(/O_RDONLY\|O_NONBLOCK\|O_NOFOLLOW/);
});

/** The first calls of a kind, one failing at a time; links: probe, record, second link, publication or previous target. */
const injections = [
  ...[1, 2, 3, 4, 5, 6].map((nth) => ['fsync', 'EIO', nth] as const),
  ...[1, 2, 3, 4].map((nth) => ['link', 'EIO', nth] as const),
  ...[1, 2].map((nth) => ['rename', 'EIO', nth] as const),
  ['fsync', 'ENOSPC', 4] as const,
  ['link', 'ENOSPC', 4] as const,
];

describe('when a system call fails once', () => {
  for (const [name, error, nth] of injections) {
    testTraced(`${name} number ${nth} by ${error}: the run retries or fails by its type, and the target is old or new`, async () => {
      const target = place.path('target');
      writePrevious(target);
      const before = stateOf(target);
      const trace = place.path('trace');
      // Killed when the run is over: a worker that stops syncs its log, and might meet the error there.
      const output = await traced(['-e', `trace=${name}`, '-e', `inject=${name}:error=${error}:when=${nth}`, '-o', trace], target, 'kill');
      expect(readFileSync(trace, 'utf8')).toContain('(INJECTED)');
      if (output.success) expect(readFileSync(target)).toEqual(readFileSync(place.path('source')));
      else expect([output.errorCode, stateOf(target)]).toEqual([expect.stringMatching(/^[A-Z][A-Za-z]+$/), before]);
      expect(place.leftovers()).toEqual([]);
    });
  }
});
