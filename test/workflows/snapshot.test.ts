import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { TargetBusyError } from '../../src/client';
import { noSums } from '../../src/core/batch-sums';
import { SnapshotInput, type SnapshotOutput } from '../../src/snapshot-models';
import { initRepository } from '../../src/storage/snapshot/repository';
import { readRecord } from '../../src/storage/snapshot/snapshot-record';
import { keepChanging } from '../helpers/keep-changing';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { check } from '../helpers/check';
import { exactTree } from '../helpers/exact-tree';
import { makeHostileTree } from '../helpers/hostile-tree';
import { chainOf, largestPayloadOf } from '../helpers/history';
import { startServer, stopServer, type TestServer } from '../helpers/server';
import { copyOf, incoming, LongFiles, makeRepository, nextSecond, published, repositoryOf, requestOf, sourceOf, writeSource } from '../helpers/snapshot';
import { registered, until } from '../helpers/target-state';
import { startPlace } from '../helpers/worker-process';

const ofCopies = { ofCopies: true, withTop: true };

let harness: Harness;
let stopChanging = (): void => undefined;
const releases: (() => void)[] = [];

afterEach(async () => {
  stopChanging();
  releases.splice(0).forEach((release) => release());
  await harness?.remove();
});

/** Nothing of a run that is not published, neither in the repository nor in what the worker remembers. */
function expectNothingLeft(place: Harness): void {
  expect({ incoming: incoming(place), registered: registered(place) }).toEqual({ incoming: [], registered: [] });
}

async function expectIntact(place: Harness): Promise<void> {
  expect((await check(repositoryOf(place))).problems).toEqual([]);
}

/** Lets the first run of a step wait until it is released. */
function holding(step: string): { readonly around: Around; readonly reached: Promise<void>; release(): void } {
  let [release, reach] = [(): void => undefined, (): void => undefined];
  const released = new Promise<void>((resolve) => releases.push((release = resolve)));
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const around: Around = async (current, _attempt, next) => {
    if (current === step) {
      reach();
      await released;
    }
    return next();
  };
  return { around, reached, release: () => release() };
}

/** As a plan keeps it. */
function withoutLists({ sources: _sources, excludes: _excludes, ...input }: SnapshotInput): Omit<SnapshotInput, 'sources' | 'excludes'> {
  return input;
}

/** The record of a snapshot that somebody else than the client has started, and that failed. */
async function failureOf(handle: WorkflowHandle): Promise<SnapshotOutput> {
  const error: unknown = await handle.result().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowFailedError)) throw new Error('The snapshot did not fail');
  return (error.cause as ApplicationFailure).details?.[0] as SnapshotOutput;
}

describe('a snapshot', () => {
  test('holds a hostile tree as it is, is verified by sha256sum, and its record says what it came to', async () => {
    harness = await startHarness();
    makeRepository(harness);
    makeHostileTree(sourceOf(harness));
    const output = await harness.client.backupSnapshot(requestOf(harness, { verifyFrom: 'device', tags: ['nightly'], metadata: { reason: 'test' } }));
    const tree = Object.values(exactTree(sourceOf(harness)));
    const count = (kind: string): number => tree.filter((entry) => entry.startsWith(kind)).length;
    expect(output).toMatchObject({ success: true, status: 'complete', parent: null, failedEntries: 0, specials: 1, rollback: 'notNeeded', errorCode: null, notKept: [] });
    expect([output.files, output.newFiles, output.unchangedFiles, output.symlinks]).toEqual([count('file'), count('file'), 0, count('link')]);
    expect(published(harness)).toEqual([output.snapshot]);
    expect(exactTree(copyOf(harness, output.snapshot), ofCopies)).toEqual(exactTree(sourceOf(harness), ofCopies));
    execFileSync('sha256sum', ['--check', '--quiet', '--strict', 'SHA256SUMS'], { cwd: join(repositoryOf(harness), output.snapshot ?? '') });
    const { tags, metadata, operationId, status, counts } = readRecord(repositoryOf(harness), output.snapshot ?? '');
    expect({ tags, metadata, operationId, status, files: counts.files }).toEqual({ tags: ['nightly'], metadata: { reason: 'test' }, operationId: output.operationId, status: 'complete', files: output.files });
    await expectIntact(harness);
    expectNothingLeft(harness);
  });

  test('of a source that has not changed shares every file with the one before', async () => {
    harness = await startHarness();
    makeRepository(harness, ['a', 'sub/b', 'sub/c']);
    const first = await harness.client.backupSnapshot(requestOf(harness));
    await nextSecond();
    const second = await harness.client.backupSnapshot(requestOf(harness));
    expect(second).toMatchObject({ success: true, parent: first.snapshot, files: 3, unchangedFiles: 3, newFiles: 0, changedFiles: 0, copiedBytes: 0 });
    const inodes = ({ snapshot }: SnapshotOutput): number[] => ['a', 'sub/b', 'sub/c'].map((name) => statSync(join(copyOf(harness, snapshot), name)).ino);
    expect(inodes(second)).toEqual(inodes(first));
    writeSource(harness, 'sub/c', 'other content');
    unlinkSync(sourceOf(harness, 'a'));
    writeSource(harness, 'new', 'new');
    await nextSecond();
    const third = await harness.client.backupSnapshot(requestOf(harness));
    expect(third).toMatchObject({ success: true, parent: second.snapshot, files: 3, unchangedFiles: 1, newFiles: 1, changedFiles: 1 });
    expect(published(harness)).toEqual([first, second, third].map(({ snapshot }) => snapshot));
    await expectIntact(harness);
  });

  test('of a source that is missing in part is refused, on request partial and says so, and the next one takes what is there by then', async () => {
    harness = await startHarness();
    makeRepository(harness, ['a']);
    const sources = [sourceOf(harness), harness.path('later')];
    const refused = await harness.client.backupSnapshot(requestOf(harness, { sources }));
    expect(refused).toMatchObject({ success: false, snapshot: null, errorCode: 'SourceNotFound', rollback: 'performed' });
    expect(refused.errorMessage).toContain('--allow-missing');
    const output = await harness.client.backupSnapshot(requestOf(harness, { sources, allowMissing: true }));
    expect(output).toMatchObject({ success: false, status: 'partial', errorCode: null, files: 1, failedEntries: 1, failuresByType: { SourceNotFound: 1 }, failureSample: [{ path: harness.path('later'), type: 'SourceNotFound' }] });
    expect(readRecord(repositoryOf(harness), output.snapshot ?? '')).toMatchObject({ status: 'partial', counts: { failed: 1 } });
    await expectIntact(harness);
    mkdirSync(harness.path('later'));
    writeFileSync(harness.path('later', 'file'), 'here by now');
    const next = await harness.client.backupSnapshot(requestOf(harness, { sources }));
    expect(next).toMatchObject({ success: true, status: 'complete', parent: output.snapshot, files: 2, unchangedFiles: 1, newFiles: 1 });
    expect(readFileSync(join(copyOf(harness, next.snapshot, harness.path('later')), 'file'), 'utf8')).toBe('here by now');
    expectNothingLeft(harness);
  });

  test('of a source that goes away meanwhile, or is empty by now, is partial and says of which source', async () => {
    let lose = (): void => undefined;
    const around: Around = async (step, _attempt, next) => {
      const result = await next();
      if (step === 'planSnapshot') lose();
      return result;
    };
    harness = await startHarness({ around });
    makeRepository(harness, ['a', 'sub/b']);
    linkSync(sourceOf(harness, 'a'), sourceOf(harness, 'sub/c'));
    lose = () => (lose = () => undefined, renameSync(sourceOf(harness), harness.path('elsewhere')));
    const gone = await harness.client.backupSnapshot(requestOf(harness));
    expect(gone).toMatchObject({ success: false, status: 'partial', files: 0, vanishedFiles: 0, failedEntries: 3, failuresByType: { SourceGone: 3 } });
    expect(gone.failureSample.map(({ path }) => path).sort()).toEqual(['a', 'sub/b', 'sub/c'].map((name) => sourceOf(harness, name)));
    expect(gone.failureSample[0]?.message).toContain(`${sourceOf(harness)} is not the source any more`);
    renameSync(harness.path('elsewhere'), sourceOf(harness));
    await nextSecond();
    expect(await harness.client.backupSnapshot(requestOf(harness))).toMatchObject({ status: 'complete', files: 3 });
    renameSync(sourceOf(harness), harness.path('elsewhere'));
    mkdirSync(sourceOf(harness));
    await nextSecond();
    expect(await harness.client.backupSnapshot(requestOf(harness))).toMatchObject({ success: false, status: 'partial', failedEntries: 1, failuresByType: { SourceEmptied: 1 }, failureSample: [{ path: sourceOf(harness), type: 'SourceEmptied' }] });
    await expectIntact(harness);
  });

  test('with a file that keeps changing tries it again and is partial, and the next one has the file', async () => {
    harness = await startHarness();
    makeRepository(harness, ['a']);
    stopChanging = keepChanging([sourceOf(harness, 'log')]);
    const output = await harness.client.backupSnapshot(requestOf(harness, { maxRetries: 2 }));
    stopChanging();
    expect(output).toMatchObject({ success: false, status: 'partial', files: 1, failedEntries: 1, failuresByType: { SourceChanged: 1 }, retryCount: 2 });
    expect(existsSync(join(copyOf(harness, output.snapshot), 'log'))).toBe(false);
    const next = await harness.client.backupSnapshot(requestOf(harness));
    expect(next).toMatchObject({ success: true, status: 'complete', parent: output.snapshot, files: 2 });
    expect(exactTree(copyOf(harness, next.snapshot), ofCopies)).toEqual(exactTree(sourceOf(harness), ofCopies));
    await expectIntact(harness);
  });

  test('without anything that could be read fails, and nothing is in the repository', async () => {
    harness = await startHarness();
    makeRepository(harness);
    const output = await harness.client.backupSnapshot(requestOf(harness, { sources: [harness.path('missing')] }));
    expect(output).toMatchObject({ success: false, snapshot: null, status: null, errorCode: 'SourceNotFound', rollback: 'performed' });
    expect(published(harness)).toEqual([]);
    expectNothingLeft(harness);
  });
});

test('a snapshot that was published although its run knows nothing of it is what the run came to, and is not said to be undone', async () => {
  let forget = true;
  const around: Around = async (step, _attempt, next) => {
    const result = await next();
    // As a server does whose database was put back to an earlier copy.
    if (step === 'sealSnapshot' && forget) throw ApplicationFailure.nonRetryable('forgotten', 'StagingRevoked');
    return result;
  };
  harness = await startHarness({ around });
  makeRepository(harness, ['a']);
  const output = await harness.client.backupSnapshot(requestOf(harness));
  forget = false;
  expect(output).toMatchObject({ success: true, status: 'complete', files: 1, rollback: 'notNeeded', errorCode: null });
  expect(published(harness)).toEqual([output.snapshot]);
  expectNothingLeft(harness);
  await expectIntact(harness);
});

describe('a snapshot that is cancelled', () => {
  test.each([
    ['planSnapshot', 'before'],
    ['planSnapshot', 'after'],
    ['snapshotChunk', 'before'],
    ['snapshotChunk', 'after'],
  ])('%s, %s it, leaves nothing in the repository, and says so', async (cancelAt, when) => {
    const around: Around = async (step, _attempt, next) => {
      if (step === cancelAt && when === 'before') await handle?.cancel();
      const result = await next();
      if (step === cancelAt && when === 'after') await handle?.cancel();
      return result;
    };
    let handle: { cancel(): Promise<unknown> } | undefined = undefined as { cancel(): Promise<unknown> } | undefined;
    const files = new LongFiles();
    let begin = (): void => undefined;
    const known = new Promise<void>((resolve) => (begin = resolve));
    harness = await startHarness({ around: files.around(async (step, attempt, next) => (await known, around(step, attempt, next))) });
    makeRepository(harness, ['a']);
    files.make(harness, 3);
    const run = await harness.client.startBackupSnapshot(requestOf(harness, { lanes: 1 }));
    handle = { cancel: () => harness.client.cancel(run.workflowId) };
    begin();
    expect(await run.result()).toMatchObject({ success: false, snapshot: null, status: null, errorCode: 'Cancelled', rollback: 'performed' });
    expect((await harness.client.describe(run.workflowId)).state).toBe('cancelled');
    expect(published(harness)).toEqual([]);
    expectNothingLeft(harness);
  });

  test('while it is published is a snapshot all the same: it cannot be taken back', async () => {
    const seal = holding('sealSnapshot');
    harness = await startHarness({ around: seal.around });
    makeRepository(harness, ['a']);
    const run = await harness.client.startBackupSnapshot(requestOf(harness));
    await seal.reached;
    await harness.client.cancel(run.workflowId);
    seal.release();
    const output = await run.result();
    expect(output).toMatchObject({ success: true, status: 'complete', errorCode: null });
    expect(published(harness)).toEqual([output.snapshot]);
    await expectIntact(harness);
    expectNothingLeft(harness);
  });
});

describe('what is not allowed is refused, and nothing is created', () => {
  test('a repository that is not there', async () => {
    harness = await startHarness();
    mkdirSync(sourceOf(harness));
    writeSource(harness, 'a', 'a');
    for (const repository of [repositoryOf(harness), harness.path('source')]) {
      const before = exactTree(harness.directory);
      expect(await harness.client.backupSnapshot(requestOf(harness, { repository }))).toMatchObject({ success: false, snapshot: null, errorCode: 'RepositoryNotFound', rollback: 'notNeeded' });
      expect(exactTree(harness.directory)).toEqual(before);
    }
    expect(registered(harness)).toEqual([]);
  });

  test('sources and repositories outside the roots', async () => {
    harness = await startHarness();
    const elsewhere = await startPlace();
    try {
      makeRepository(harness, ['a']);
      makeRepository(elsewhere, ['secret']);
      const before = exactTree(elsewhere.directory);
      expect(await harness.client.backupSnapshot(requestOf(harness, { sources: [sourceOf(elsewhere)] }))).toMatchObject({ errorCode: 'SourceNotAllowed', rollback: 'notNeeded' });
      expect(await harness.client.backupSnapshot(requestOf(harness, { sources: [sourceOf(harness), '/etc'] }))).toMatchObject({ errorCode: 'SourceNotAllowed' });
      expect(await harness.client.backupSnapshot(requestOf(harness, { repository: repositoryOf(elsewhere) }))).toMatchObject({ errorCode: 'TargetNotAllowed', rollback: 'notNeeded' });
      expect(exactTree(elsewhere.directory)).toEqual(before);
      expect(published(harness)).toEqual([]);
      expectNothingLeft(harness);
    } finally {
      await elsewhere.remove();
    }
  });

  /** Starts a snapshot as one that an earlier execution has planned. */
  async function startForged(location: { destination: string; runId: string }, chunks: number): Promise<WorkflowHandle> {
    const request = SnapshotInput.parse(requestOf(harness, { maxRetries: 0, lanes: 1 }));
    const batch = { input: withoutLists(request), location, files: 1, sizeBytes: 1, chunks, failures: { count: 0, failuresByType: {}, sample: [] } };
    const carried = { ...noSums(), startedAtMs: Date.now(), batch, nextChunk: 0, returned: [], paused: false, lanes: 1, retryCount: 0, waitedMs: 0 };
    return harness.temporal.workflow.start('backupSnapshot', { taskQueue: harness.taskQueue, workflowId: `snapshot-${randomUUID()}`, args: [request, carried] });
  }

  describe.each([['its first chunk', 1], ['its end', 0]] as const)('a forged state of an earlier execution, by %s:', (_what, chunks) => {
    test.each([
      ['a repository outside the roots', () => ({ destination: '/elsewhere' }), 'TargetNotAllowed'],
      ['a repository that leads out of the roots', () => ({ destination: `${harness.directory}/../elsewhere` }), 'InvalidInput'],
      ['a run that leads out of its repository', () => ({ runId: '../../elsewhere' }), 'InvalidInput'],
      ['a run that is not the one that asks', () => ({}), 'NotOwnRun'],
    ])('%s', async (_which, forged, errorCode) => {
      harness = await startHarness();
      makeRepository(harness, ['a']);
      const before = exactTree(harness.directory, { skip: ['repository/.file-backup/incoming'] });
      const handle = await startForged({ destination: repositoryOf(harness), runId: randomUUID(), ...forged() }, chunks);
      expect(await failureOf(handle)).toMatchObject({ success: false, snapshot: null, errorCode });
      expect(exactTree(harness.directory, { skip: ['repository/.file-backup/incoming'] })).toEqual(before);
      expectNothingLeft(harness);
    });

    test('another run of the same repository, which goes on undisturbed', async () => {
      const seal = holding('sealSnapshot');
      let forger = '';
      harness = await startHarness({ around: (step, attempt, next) => (forger === '' ? seal.around(step, attempt, next) : next()) });
      makeRepository(harness, ['a', 'b']);
      const run = await harness.client.startBackupSnapshot(requestOf(harness));
      await seal.reached;
      forger = 'begins';
      const handle = await startForged({ destination: repositoryOf(harness), runId: run.runId }, chunks);
      expect(await failureOf(handle)).toMatchObject({ success: false, snapshot: null, errorCode: 'NotOwnRun' });
      expect([published(harness), incoming(harness)]).toEqual([[], [run.runId]]);
      seal.release();
      const output = await run.result();
      expect(output).toMatchObject({ success: true, files: 2 });
      expect(published(harness)).toEqual([output.snapshot]);
      await expectIntact(harness);
      expectNothingLeft(harness);
    });
  });
});

describe('one at a time', () => {
  test('an equal request attaches to the snapshot that is being made, and another one of the same sources is refused', async () => {
    const chunk = holding('snapshotChunk');
    harness = await startHarness({ around: chunk.around });
    makeRepository(harness, ['a']);
    const run = await harness.client.startBackupSnapshot(requestOf(harness));
    await chunk.reached;
    expect(await harness.client.startBackupSnapshot(requestOf(harness))).toMatchObject({ attached: true, workflowId: run.workflowId, runId: run.runId, operationId: run.operationId });
    await expect(harness.client.startBackupSnapshot(requestOf(harness, { tags: ['other'] }))).rejects.toThrow(TargetBusyError);
    expect(await harness.client.backupSnapshot(requestOf(harness, { rehash: true }))).toMatchObject({ success: false, errorCode: 'TargetBusy', rollback: 'notNeeded' });
    chunk.release();
    expect(await run.result()).toMatchObject({ success: true });
    expect(published(harness)).toHaveLength(1);
  });

  test('snapshots of two hosts are made at the same time in one repository, and neither is the other\'s parent', async () => {
    const seal = holding('sealSnapshot');
    harness = await startHarness({ around: seal.around });
    makeRepository(harness, ['a']);
    const runs = await Promise.all(['one', 'two'].map((host) => harness.client.startBackupSnapshot(requestOf(harness, { host }))));
    await until('both are being made', () => incoming(harness).length === 2);
    await seal.reached;
    seal.release();
    for (const run of runs) expect(await run.result()).toMatchObject({ success: true, parent: null });
    expect(published(harness)).toHaveLength(2);
    expectNothingLeft(harness);
  });

  test('the same operation sent again after its end is answered with its record, and takes no second snapshot', async () => {
    harness = await startHarness();
    makeRepository(harness, ['a']);
    const request = requestOf(harness, { operationId: randomUUID() });
    const output = await harness.client.backupSnapshot(request);
    writeSource(harness, 'a', 'other content');
    expect(await harness.client.backupSnapshot(request)).toEqual(output);
    expect(published(harness)).toEqual([output.snapshot]);
  });
});

test('a paused snapshot starts no more chunks until it is resumed', async () => {
  const [chunk, files] = [holding('snapshotChunk'), new LongFiles()];
  harness = await startHarness({ around: files.around(chunk.around) });
  makeRepository(harness);
  files.make(harness, 4);
  const run = await harness.client.startBackupSnapshot(requestOf(harness, { lanes: 1 }));
  await chunk.reached;
  expect(await harness.client.pause(run.workflowId)).toMatchObject({ state: 'paused' });
  chunk.release();
  await until('the chunk under way is finished', async () => (await harness.client.batchProgress(run)).finishedChunks === 1);
  expect(await harness.client.batchProgress(run)).toMatchObject({ state: 'paused', finishedChunks: 1, chunks: 4, current: [] });
  expect(published(harness)).toEqual([]);
  await harness.client.resume(run.workflowId);
  expect(await run.result()).toMatchObject({ success: true, files: 4 });
});

describe('a snapshot of many chunks', () => {
  test('is one, whatever the order in which its chunks are finished', async () => {
    const around: Around = async (step, _attempt, next) => {
      if (step === 'snapshotChunk') await until('another one is under way', () => (begun += 1) > 2);
      return next();
    };
    let begun = 0;
    harness = await startHarness({ around });
    makeRepository(harness);
    const names = Array.from({ length: 1800 }, (_, index) => `${index % 7}/${index}`);
    for (const name of names) writeSource(harness, name, name);
    const first = await harness.client.backupSnapshot(requestOf(harness));
    expect(first).toMatchObject({ success: true, files: 1800, newFiles: 1800 });
    expect(exactTree(copyOf(harness, first.snapshot), ofCopies)).toEqual(exactTree(sourceOf(harness), ofCopies));
    for (const name of names.slice(700, 900)) writeSource(harness, name, `${name} again`);
    const second = await harness.client.backupSnapshot(requestOf(harness));
    expect(second).toMatchObject({ success: true, files: 1800, changedFiles: 200, unchangedFiles: 1600 });
    expect(exactTree(copyOf(harness, second.snapshot), ofCopies)).toEqual(exactTree(sourceOf(harness), ofCopies));
    await expectIntact(harness);
  });

  describe('that continues as new', () => {
    const SUGGESTED_EVENTS = 40;
    const KIB = 1024;
    let server: TestServer | undefined;

    beforeAll(async () => {
      server = await startServer(process.env.TEST_TEMPORAL_CLI ?? '', ['--dynamic-config-value', `limit.historyCount.suggestContinueAsNew=${SUGGESTED_EVENTS}`]);
    });
    afterAll(() => stopServer(server?.supervisor));

    test('is one snapshot with the counts of all executions, and its failures', async () => {
      const files = new LongFiles();
      harness = await startHarness({ address: server?.address, around: files.around() });
      makeRepository(harness);
      files.make(harness, 20);
      const run = await harness.client.startBackupSnapshot(requestOf(harness, { sources: [sourceOf(harness), harness.path('missing')], allowMissing: true, excludes: ['nothing'], lanes: 3 }));
      const output = await run.result();
      expect(output).toMatchObject({ status: 'partial', files: 20, newFiles: 20, failedEntries: 1, failuresByType: { SourceNotFound: 1 } });
      expect(exactTree(copyOf(harness, output.snapshot), ofCopies)).toEqual(exactTree(sourceOf(harness), ofCopies));
      const handle = Object.assign(harness.temporal.workflow.getHandle(run.workflowId), { firstExecutionRunId: run.firstRunId });
      const chain = await chainOf(handle, harness.temporal);
      expect(chain.length).toBeGreaterThan(1);
      expect(largestPayloadOf(chain)).toBeLessThan(64 * KIB);
      expect(published(harness)).toHaveLength(1);
      await expectIntact(harness);
      expectNothingLeft(harness);
    });

    test('and is cancelled in a later execution leaves nothing', async () => {
      let chunks = 0;
      const cancelling: Around = async (step, _attempt, next) => {
        const result = await next();
        if (step === 'snapshotChunk' && (chunks += 1) === 12) await harness.client.cancel(run?.workflowId ?? '');
        return result;
      };
      let run: { workflowId: string; firstRunId: string; result(): Promise<SnapshotOutput> } | undefined = undefined as { workflowId: string; firstRunId: string; result(): Promise<SnapshotOutput> } | undefined;
      const files = new LongFiles();
      harness = await startHarness({ address: server?.address, around: files.around(cancelling) });
      makeRepository(harness);
      files.make(harness, 20);
      run = await harness.client.startBackupSnapshot(requestOf(harness, { lanes: 1 }));
      expect(await run.result()).toMatchObject({ success: false, snapshot: null, errorCode: 'Cancelled', rollback: 'performed' });
      expect((await harness.temporal.workflow.getHandle(run.workflowId).describe()).runId).not.toBe(run.firstRunId);
      expect([published(harness), readdirSync(repositoryOf(harness))]).toEqual([[], ['.file-backup']]);
      expectNothingLeft(harness);
    });
  });
});

test('a repository that lies inside the source is left out, with what the worker keeps for itself', async () => {
  harness = await startHarness();
  mkdirSync(harness.path('repository'));
  initRepository(repositoryOf(harness));
  writeFileSync(harness.path('a'), 'a');
  const output = await harness.client.backupSnapshot(requestOf(harness, { sources: [harness.directory] }));
  expect(output).toMatchObject({ success: true, files: 1, leftOut: [repositoryOf(harness)] });
});

test.each([
  ['holds no new copy', { counts: { backedUp: 0, unchanged: 1, failed: 1 }, failuresByType: { NoSpace: 1 } }],
  ['has met a full repository', { full: '/repository is full' }],
])('a snapshot that %s for want of space is not published, and nothing of it stays', async (_what, change) => {
  harness = await startHarness({ around: async (step, _attempt, next) => (step === 'snapshotChunk' ? { ...((await next()) as object), ...change } : next()) });
  makeRepository(harness, ['a', 'b']);
  const before = Object.keys(exactTree(repositoryOf(harness)));
  expect(await harness.client.backupSnapshot(requestOf(harness))).toMatchObject({ success: false, errorCode: 'NoSpace', snapshot: null, rollback: 'performed' });
  expect(Object.keys(exactTree(repositoryOf(harness)))).toEqual(before);
});
