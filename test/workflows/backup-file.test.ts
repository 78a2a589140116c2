import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { fileWorkflowId } from '../../src/workflow-ids';
import { failure } from '../../src/failures';
import type { FileBackupOutput, FileBackupRequest } from '../../src/models';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { registered, sha256Of, stateOf, writePrevious } from '../helpers/target-state';
import { startPlace, startWorkerProcess, type Fault } from '../helpers/worker-process';

type History = temporal.api.history.v1.IHistory;

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

let harness: Harness;
let around: Around | undefined;
let source: string;
/** A folder that the worker may not touch. */
let outside: string;
let folders = 0;

beforeAll(async () => {
  harness = await startHarness({ around: (step, attempt, run) => (around === undefined ? run() : around(step, attempt, run)), breaker: { failureThreshold: 1000 } });
  source = harness.path('source.bin');
  writeFileSync(source, Buffer.alloc(100_000, 'content'));
  outside = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-outside-')));
});

afterEach(() => {
  around = undefined;
  expect(harness.leftovers()).toEqual([]);
  expect(registered(harness)).toEqual([]);
});

afterAll(async () => {
  await harness?.remove();
  if (outside !== undefined) rmSync(outside, { recursive: true, force: true });
});

describe('sources that cannot be backed up', () => {
  test('one that is not there fails at the first attempt', async () => {
    const target = newTarget('made');
    await expectRefusal({ sourcePath: harness.path('nothing'), backupPath: target }, 'SourceNotFound', harness.path('nothing'));
    expect(existsSync(dirname(target))).toBe(false);
  });

  test.each([
    ['a directory', (path: string) => mkdirSync(path)],
    ['a symbolic link', (path: string) => symlinkSync(source, path)],
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path])],
    ['a socket', (path: string) => listenAt(path)],
  ] as [string, (path: string) => unknown][])('%s is refused by its kind, at once', async (kind, make) => {
    const path = newTarget();
    await make(path);
    await expectRefusal({ sourcePath: path, backupPath: newTarget() }, 'SourceNotRegularFile', kind);
  });

  const canMakeDevices = makesDevices();
  (canMakeDevices ? test : test.skip)(`a device is refused by its kind${canMakeDevices ? '' : ' (skipped: this user may not make devices)'}`, async () => {
    const path = newTarget();
    execFileSync('mknod', [path, 'c', '1', '5']);
    await expectRefusal({ sourcePath: path, backupPath: newTarget() }, 'SourceNotRegularFile', 'a character device');
  });

  test('more FIFOs than the worker has threads do not hold it up', async () => {
    const fifos = Array.from({ length: 12 }, () => newTarget());
    for (const path of fifos) execFileSync('mkfifo', [path]);
    const outputs = await Promise.all(fifos.map((path) => harness.client.backupFile({ sourcePath: path, backupPath: `${path}.copy` })));
    expect(outputs.map(({ errorCode }) => errorCode)).toEqual(fifos.map(() => 'SourceNotRegularFile'));
  });

  test('one outside the worker\'s source roots is refused, a folder with a like name too', async () => {
    for (const path of [join(outside, 'file'), `${harness.directory}-sibling/file`]) {
      await expectRefusal({ sourcePath: path, backupPath: newTarget() }, 'SourceNotAllowed', '--source-root');
    }
  });
});

describe('targets that cannot be', () => {
  test('one outside the worker\'s destination roots is refused and nothing is written there', async () => {
    await expectRefusal({ sourcePath: source, backupPath: join(outside, 'made', 'target') }, 'TargetNotAllowed', '--destination-root');
    expect(readdirSync(outside)).toEqual([]);
  });

  test.each([
    ['a symbolic link', (target: string) => symlinkSync(source, target)],
    ['a hard link', (target: string) => linkSync(source, target)],
  ])('%s to the source is the same file', async (_kind, link) => {
    const target = newTarget();
    link(target);
    const before = stateOf(source);
    await expectRefusal({ sourcePath: source, backupPath: target }, 'SameFile', target);
    expect(stateOf(source)).toEqual(before);
  });

  test('the source by another name, through a linked directory, is the same file', async () => {
    const link = newTarget();
    symlinkSync(harness.directory, link);
    await expectRefusal({ sourcePath: source, backupPath: join(link, 'source.bin') }, 'SameFile', source);
    // Listing the folder would go round and round through it.
    rmSync(link);
  });

  test('a parent that is a link out of the roots is refused, and nothing is written behind it', async () => {
    const link = newTarget();
    symlinkSync(outside, link);
    await expectRefusal({ sourcePath: source, backupPath: join(link, 'made', 'target') }, 'TargetNotCanonical', outside);
    expect(readdirSync(outside)).toEqual([]);
  });

  test('a symbolic link is refused, and what it leads to is not written', async () => {
    const target = newTarget();
    symlinkSync(join(outside, 'victim'), target);
    await expectRefusal({ sourcePath: source, backupPath: target }, 'TargetNotCanonical', target);
    expect(readdirSync(outside)).toEqual([]);
  });

  test.each(['prepareStaging', 'stageFile', 'verifyFile', 'publishFile', 'finalizeFile'])('a parent that becomes a link out of the roots just before %s leads nothing out', async (when) => {
    const target = newTarget('parent');
    const parent = dirname(target);
    mkdirSync(parent);
    const aside = `${parent}-aside`;
    around = (step, attempt, run) => {
      if (step === when && attempt === 1) {
        renameSync(parent, aside);
        symlinkSync(outside, parent);
      }
      const isUndo = /^(un|dis)/.test(step) || (step === 'finalizeFile' && attempt === 2);
      if (isUndo && existsSync(aside)) {
        rmSync(parent);
        renameSync(aside, parent);
      }
      return run();
    };
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: target, maxRetries: 0 });
    expect(readdirSync(outside)).toEqual([]);
    if (when === 'finalizeFile') {
      // The commit was done; what it could not remove is put in its place and swept here.
      expect(output.success).toBe(true);
      await cleanAside(parent, aside);
    } else {
      expect(output).toMatchObject({ success: false, errorCode: expect.stringMatching(/^(TargetNotCanonical|DestinationGone)$/) as string, rollback: { status: 'performed' } });
      expect(readdirSync(parent)).toEqual([]);
    }
  });

  test('one that is a directory is refused', async () => {
    const target = newTarget();
    mkdirSync(target);
    await expectRefusal({ sourcePath: source, backupPath: target }, 'TargetInvalid', 'a directory');
  });

  test('one below more missing directories than a run can carry along is refused', async () => {
    const target = newTarget(...Array.from({ length: 800 }, (_each, index) => `d${index}`));
    await expectRefusal({ sourcePath: source, backupPath: target }, 'TargetInvalid', '800 directories');
  });
});

describe('permissions', () => {
  const canRunOtherUser = isRoot && runsAs(NOBODY);
  const skipped = isRoot && !canRunOtherUser;
  const title = 'a source that the worker may not read fails at the first attempt';

  (skipped ? test.skip : test)(`${title}${skipped ? ' (skipped: another user cannot run the package from here)' : ''}`, async () => {
    await asOrdinaryUser(async (place) => {
      const sourcePath = place.path('secret');
      writeFileSync(sourcePath, 'secret', { mode: 0o000 });
      const output = await place.client.backupFile({ sourcePath, backupPath: place.path('target') });
      expect(output).toMatchObject({ errorCode: 'PermissionDenied', retryCount: 0, rollback: { status: 'notNeeded' } });
      expect(existsSync(place.path('target'))).toBe(false);
    });
  });

  (skipped ? test.skip : test)('a target folder that the worker may not write fails at the first attempt and leaves nothing', async () => {
    await asOrdinaryUser(async (place) => {
      mkdirSync(place.path('closed'));
      chmodSync(place.path('closed'), 0o555);
      writeFileSync(place.path('source'), 'content');
      const output = await place.client.backupFile({ sourcePath: place.path('source'), backupPath: place.path('closed', 'target') });
      expect(output).toMatchObject({ errorCode: 'PermissionDenied', retryCount: 0, rollback: { status: 'performed' } });
      expect(readdirSync(place.path('closed'))).toEqual([]);
      expect(registered(place)).toEqual([]);
    });
  });

  test.each([0o600, 0o400, 0o755, 0o4755].map((mode) => [mode.toString(8), mode] as const))('a source with mode %s is copied with its permissions and never readable by more', async (_octal, mode) => {
    const sourcePath = newTarget();
    writeFileSync(sourcePath, 'content');
    chmodSync(sourcePath, mode);
    const target = newTarget();
    let staged: number | undefined;
    around = async (step, _attempt, run) => {
      if (step === 'verifyFile') staged = modeOf(stagedFile(dirname(target)));
      return run();
    };
    await expect(harness.client.backupFile({ sourcePath, backupPath: target })).resolves.toMatchObject({ success: true });
    expect([staged, modeOf(target)]).toEqual([mode & 0o777, mode & 0o777]);
  });

  /** Root may read and write everything: then the worker runs as another user, in a process of its own. */
  async function asOrdinaryUser(calls: (place: Harness) => Promise<void>): Promise<void> {
    const place = isRoot ? await startPlace() : await startHarness();
    if (isRoot) for (const path of [place.directory, place.stateDirectory]) chownSync(path, NOBODY, NOBODY);
    const worker = isRoot ? startWorkerProcess({ ...place, userId: NOBODY }) : undefined;
    try {
      await calls(place);
    } finally {
      await worker?.kill();
      await place.remove();
    }
  }
});

describe('input that did not pass the client', () => {
  const valid = () => ({ sourcePath: source, backupPath: newTarget('made') });

  test.each<[string, () => unknown[]]>([
    ['null', () => [null]],
    ['nothing at all', () => []],
    ['a text', () => ['/etc/passwd']],
    ['an array', () => [[valid()]]],
    ['an unknown field', () => [{ ...valid(), overwrite: true }]],
    ['a relative path', () => [{ ...valid(), backupPath: 'target' }]],
    ['a path with ".."', () => [{ ...valid(), backupPath: `${harness.directory}/../target` }]],
    ['a path that is no text', () => [{ ...valid(), sourcePath: 7 }]],
    ['more retries than there may be', () => [{ ...valid(), maxRetries: 99 }]],
    ['an operation id that is no UUID', () => [{ ...valid(), operationId: 'mine' }]],
    ['the source as its own target', () => [{ sourcePath: source, backupPath: source }]],
  ])('%s fails as InvalidInput at the first attempt, and nothing is created', async (_what, args) => {
    const before = readdirSync(harness.directory, { recursive: true }).length;
    const handle = await startRaw(args());
    const cause = await failureOf(handle);
    expect(cause.type).toBe('InvalidInput');
    expect(cause.details?.[0]).toMatchObject({ success: false, errorCode: 'InvalidInput', retryCount: 0, rollback: { status: 'notNeeded', steps: [] } });
    expect(attemptsIn(await handle.fetchHistory())).toEqual(['inspectFile 1']);
    // The case's own folder is one.
    expect(readdirSync(harness.directory, { recursive: true }).length - before).toBeLessThanOrEqual(1);
  });

  test('a request with the two paths alone gets every default', async () => {
    const { sourcePath, backupPath } = valid();
    const output = (await (await startRaw([{ sourcePath, backupPath }])).result()) as FileBackupOutput;
    expect(output).toMatchObject({ success: true, sourcePath, backupPath, verified: true, publishedBy: 'link' });
    expect(output.operationId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('a source that grows while it is copied', () => {
  const accepted: Partial<FileBackupRequest> = { onSourceChanged: 'accept' };

  test.each<[string, Partial<FileBackupRequest>, Partial<FileBackupOutput>, string | null]>([
    ['fails without retries', { maxRetries: 0 }, { success: false, errorCode: 'SourceChanged' }, null],
    ['is copied as it is then by a retry', { maxRetries: 1 }, { success: true, retryCount: 1, sourceChanged: false, backupSizeBytes: 3_000_005 }, 'grown'],
    ['is cut at the size first seen when that is accepted', accepted, { success: true, retryCount: 0, sourceChanged: true, backupSizeBytes: 3_000_000 }, ''],
  ])('%s', async (_what, request, expected, tail) => {
    const place = await startPlace();
    const [sourcePath, backupPath] = [place.path('log'), place.path('target')];
    const content = Buffer.alloc(3_000_000, 'content');
    writeFileSync(sourcePath, content);
    const grow: Fault = { id: 'grow', step: 'stageFile', call: 'writeSync', nth: 1, when: 'after', action: 'append', file: sourcePath };
    const worker = startWorkerProcess({ ...place, faults: { [backupPath]: [grow] } });
    try {
      await expect(place.client.backupFile({ sourcePath, backupPath, retryDelayMs: 100, ...request })).resolves.toMatchObject(expected);
      if (tail === null) expect(existsSync(backupPath)).toBe(false);
      else expect(readFileSync(backupPath).equals(Buffer.concat([content, Buffer.from(tail)]))).toBe(true);
      expect(place.leftovers()).toEqual([]);
    } finally {
      await worker.kill();
      await place.remove();
    }
  });
});

describe('in place', () => {
  test.each([true, false])('the target is written and compared, with a previous target: %s', async (hasPrevious) => {
    const target = hasPrevious ? newTarget() : newTarget('made');
    if (hasPrevious) writePrevious(target);
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: target, atomic: false });
    expect(output).toMatchObject({ success: true, verified: true, checksumMatch: true, publishedBy: 'inPlace', transactionId: null, rollback: { status: 'unsupported' } });
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('a target that reads back wrong each time is a failure that was not undone', async () => {
    const target = newTarget();
    const writes = countSteps('writeTarget', () => writeFileSync(target, 'damaged'));
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: target, atomic: false, maxRetries: 1, retryDelayMs: 100 });
    expect(output).toMatchObject({ success: false, errorCode: 'ChecksumMismatch', checksumMatch: false, retryCount: 1, rollbackPerformed: false, rollback: { status: 'unsupported', steps: [] } });
    expect(writes()).toBe(2);
    const { searchAttributes } = await harness.temporal.workflow.getHandle(fileWorkflowId(harness.taskQueue, target)).describe();
    expect(searchAttributes.FileBackupState).toEqual(['inconsistent']);
  });

  test('a failure that passes is repeated', async () => {
    const target = newTarget();
    const writes = countSteps('writeTarget', (count) => {
      if (count < 3) throw failure('NoSpace', 'Full');
    });
    await expect(harness.client.backupFile({ sourcePath: source, backupPath: target, atomic: false, retryDelayMs: 100 })).resolves.toMatchObject({ success: true, retryCount: 2 });
    expect(writes()).toBe(3);
  });

  test('a copy that stalled is not repeated, since its thread may write again any time', async () => {
    const writes = countSteps('writeTarget', () => {
      throw failure('Stalled', 'No byte moved');
    });
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: newTarget(), atomic: false, retryDelayMs: 100 });
    expect(output).toMatchObject({ success: false, errorCode: 'Stalled', rollback: { status: 'unsupported' } });
    expect(writes()).toBe(1);
  });
});

describe('the run', () => {
  test('without verification says that nothing was compared', async () => {
    const target = newTarget();
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: target, verifyBackup: false });
    expect(output).toMatchObject({ success: true, verified: false, checksumMatch: null, verifiedFrom: null, publishedBy: 'link' });
    expect(attemptsIn(await historyOf(target))).toEqual(['inspectFile 1', 'prepareStaging 1', 'stageFile 1', 'publishFile 1', 'finalizeFile 1']);
  });

  test.each(['inspectFile', 'prepareStaging', 'stageFile', 'verifyFile', 'publishFile'])('without retries ends with the first failure, at %s', async (broken) => {
    const target = newTarget();
    const before = writePrevious(target);
    const calls = countSteps(broken, () => {
      throw failure('DestinationError', 'The disk hiccups');
    });
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: target, maxRetries: 0 });
    expect(output).toMatchObject({ success: false, errorCode: 'DestinationError', retryCount: 0, rollback: { status: broken === 'inspectFile' ? 'notNeeded' : 'performed' } });
    expect(calls()).toBe(1);
    expect(stateOf(target)).toEqual(before);
  });

  test('whose commit fails for good is a success with a warning', async () => {
    const target = newTarget();
    countSteps('finalizeFile', () => {
      throw failure('PermissionDenied', 'Not yours');
    });
    const output = await harness.client.backupFile({ sourcePath: source, backupPath: target });
    expect(output).toMatchObject({ success: true, warnings: [expect.stringContaining('Not yours')] });
    expect(sha256Of(target)).toBe(sha256Of(source));
    expect(registered(harness)).toHaveLength(1);
    // The next start of a worker sweeps what the commit left.
    const next = await startHarness({ like: harness });
    await next.stop();
  });

  test('keeps its history short and its payloads small, with long names too', async () => {
    const target = newTarget('n'.repeat(255), 'm'.repeat(255), 't'.repeat(255));
    const metadata = { note: 'x'.repeat(1400) };
    await expect(harness.client.backupFile({ sourcePath: source, backupPath: target, metadata })).resolves.toMatchObject({ success: true });
    const history = await historyOf(target);
    expect(history.events?.length).toBeLessThan(60);
    expect(Math.max(...payloadSizes(history))).toBeLessThan(16 * 1024);
  });

  test('that fails and undoes keeps its history short as well', async () => {
    const target = newTarget('made');
    countSteps('publishFile', () => {
      throw failure('DestinationConflict', 'Refused');
    });
    await harness.client.backupFile({ sourcePath: source, backupPath: target });
    const history = await historyOf(target);
    expect(history.events?.length).toBeLessThan(60);
    expect(Math.max(...payloadSizes(history))).toBeLessThan(16 * 1024);
  });
});

function newTarget(...parents: string[]): string {
  folders += 1;
  mkdirSync(harness.path(`case-${folders}`));
  return harness.path(`case-${folders}`, ...parents, 'target');
}

/** A permanent refusal: one attempt of the first step, nothing created, nothing to undo. */
async function expectRefusal(request: FileBackupRequest, errorCode: string, inMessage: string): Promise<void> {
  const output = await harness.client.backupFile(request);
  expect(output).toMatchObject({ success: false, errorCode, retryCount: 0, publishedBy: null, rollbackPerformed: false, rollback: { status: 'notNeeded', steps: [] } });
  expect(output.errorMessage).toContain(inMessage);
  expect(attemptsIn(await historyOf(request.backupPath))).toEqual(['inspectFile 1']);
}

/** Calls back after each run of a step, or instead of what it reports. */
function countSteps(name: string, then: (count: number) => void): () => number {
  let count = 0;
  around = async (step, _attempt, run) => {
    if (step !== name) return run();
    count += 1;
    const result = name === 'finalizeFile' ? undefined : await run();
    then(count);
    return result;
  };
  return () => count;
}

async function startRaw(args: unknown[]): Promise<WorkflowHandle> {
  folders += 1;
  return harness.temporal.workflow.start('backupFile', { taskQueue: harness.taskQueue, workflowId: `raw-${harness.taskQueue}-${folders}`, args });
}

async function failureOf(handle: WorkflowHandle): Promise<ApplicationFailure> {
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  return (error as WorkflowFailedError).cause as ApplicationFailure;
}

async function historyOf(target: string): Promise<History> {
  return harness.temporal.workflow.getHandle(fileWorkflowId(harness.taskQueue, target)).fetchHistory();
}

/** Activities with the number of the attempt that ended them, in the order of their start. */
function attemptsIn({ events }: History): string[] {
  const names = new Map(events?.map((event) => [String(event.eventId), event.activityTaskScheduledEventAttributes?.activityType?.name]));
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => (started ? [`${names.get(String(started.scheduledEventId))} ${started.attempt}`] : []));
}

function payloadSizes(history: unknown): number[] {
  if (history instanceof Uint8Array) return [history.length];
  if (typeof history !== 'object' || history === null) return [];
  return Object.values(history).flatMap(payloadSizes);
}

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o7777;
}

function stagedFile(directory: string): string {
  const staging = readdirSync(directory).find((name) => name.startsWith('.file-backup-')) ?? '';
  const name = readdirSync(join(directory, staging)).find((entry) => entry.startsWith('staged-')) ?? '';
  return join(directory, staging, name);
}

/** The server goes with the test's own process; its file goes with the folder. */
async function listenAt(path: string): Promise<void> {
  // A path of a socket has at most 107 bytes.
  const short = join(outside, 's');
  const server = createServer();
  await new Promise<void>((done) => server.listen(short, done));
  renameSync(short, path);
  server.unref();
}

async function cleanAside(parent: string, aside: string): Promise<void> {
  if (existsSync(aside)) {
    rmSync(parent);
    renameSync(aside, parent);
  }
  const next = await startHarness({ like: harness });
  await next.stop();
  expect(readdirSync(parent)).toEqual(['target']);
}

function makesDevices(): boolean {
  if (!isRoot) return false;
  const folder = mkdtempSync(join(tmpdir(), 'file-backup-device-'));
  const { status } = spawnSync('mknod', [join(folder, 'device'), 'c', '1', '5'], { stdio: 'ignore' });
  rmSync(folder, { recursive: true });
  return status === 0;
}

/** Whether another user may load the package from where it lies. */
function runsAs(userId: number): boolean {
  const command = resolve(__dirname, '../../lib/cli/main.js');
  return spawnSync(process.execPath, [command, '--version'], { uid: userId, gid: userId, cwd: '/', stdio: 'ignore' }).status === 0;
}
