import { readFileSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs';
import { BackupClient, TargetBusyError } from '../../src/client';
import type { FileBackupOutput } from '../../src/models';
import { startHarness, type Harness } from '../helpers/backup-harness';

/** Two workers on one folder, each with a queue of its own: two hosts that share a disk, where no lock helps. */
let one: Harness;
let other: Harness;
/** Runs of both reach publishFile before either goes on, where a test asks for it. */
let meeting: { expected: number; arrived: number; open: () => void; all: Promise<void> } | undefined;

const meet = async (step: string, attempt: number, run: () => Promise<unknown>): Promise<unknown> => {
  if (step === 'publishFile' && attempt === 1 && meeting !== undefined) {
    meeting.arrived += 1;
    if (meeting.arrived >= meeting.expected) meeting.open();
    await meeting.all;
  }
  return run();
};

beforeAll(async () => {
  one = await startHarness({ around: meet });
  other = await startHarness({ around: meet, like: { ...one, taskQueue: `${one.taskQueue}-other` } });
});

beforeEach(() => {
  meeting = undefined;
});

afterAll(async () => {
  await other?.stop();
  await one?.remove();
});

function meetBeforePublishing(expected: number): void {
  let open = (): void => undefined;
  const all = new Promise<void>((resolve) => (open = resolve));
  meeting = { expected, arrived: 0, open, all };
}

/** Contents of different lengths, so that a mixture of both could not pass for either. */
const contents = { a: 'a'.repeat(300_000), b: 'b'.repeat(200_000) };

function sources(name: string): { a: string; b: string } {
  const paths = { a: one.path(`${name}-a`), b: one.path(`${name}-b`) };
  writeFileSync(paths.a, contents.a);
  writeFileSync(paths.b, contents.b);
  return paths;
}

test('of two operations on one target at once, one is turned away and the other is done', async () => {
  const { a, b } = sources('busy');
  const backupPath = one.path('busy');
  const results = await Promise.all([a, b].map((sourcePath) => one.client.backupFile({ sourcePath, backupPath, operationId: undefined })));
  const [good, busy] = results.sort((left, right) => Number(right.success) - Number(left.success));
  expect(good).toMatchObject({ success: true });
  expect(busy).toMatchObject({ success: false, errorCode: 'TargetBusy' });
  expect(readFileSync(backupPath, 'utf8')).toBe(readFileSync(good?.sourcePath ?? '', 'utf8'));
  expect(one.leftovers()).toEqual([]);
});

test('many operations on one target at once: exactly one runs', async () => {
  const { a } = sources('crowd');
  const backupPath = one.path('crowd');
  meetBeforePublishing(1);
  const started = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => one.client.startBackupFile({ sourcePath: a, backupPath, maxRetries: index % 10, metadata: { index: String(index) } })));
  const running = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const refused = started.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  expect(refused.every((reason) => reason instanceof TargetBusyError)).toBe(true);
  expect(refused.length + running.length).toBe(20);
  for (const handle of running) expect(await handle.result()).toMatchObject({ success: true });
  expect(readFileSync(backupPath, 'utf8')).toBe(contents.a);
  expect(one.leftovers()).toEqual([]);
});

test('a path through a link is another name of the target, and is refused with the real one', async () => {
  const { a, b } = sources('alias');
  mkdirSync(one.path('real'));
  symlinkSync(one.path('real'), one.path('linked'));
  const [real, linked] = await Promise.all([
    one.client.backupFile({ sourcePath: a, backupPath: one.path('real', 'alias') }),
    one.client.backupFile({ sourcePath: b, backupPath: one.path('linked', 'alias') }),
  ]);
  expect(real).toMatchObject({ success: true });
  expect(linked).toMatchObject({ success: false, errorCode: 'TargetNotCanonical', errorMessage: expect.stringContaining(one.path('real')) as string });
  expect(readFileSync(one.path('real', 'alias'), 'utf8')).toBe(contents.a);
  expect(one.leftovers()).toEqual([]);
});

describe('two hosts that publish to one target at the same moment', () => {
  async function race(name: string): Promise<{ a: FileBackupOutput; b: FileBackupOutput; found: string }> {
    const { a, b } = sources(name);
    const backupPath = one.path(name);
    meetBeforePublishing(2);
    const [first, second] = await Promise.all([one.client.backupFile({ sourcePath: a, backupPath, retryDelayMs: 100 }), other.client.backupFile({ sourcePath: b, backupPath, retryDelayMs: 100 })]);
    return { a: first, b: second, found: readFileSync(backupPath, 'utf8') };
  }

  /** The target is one source completely, and who failed says why. */
  function expectWhole({ a, b, found }: { a: FileBackupOutput; b: FileBackupOutput; found: string }): void {
    expect(Object.values(contents)).toContain(found);
    expect(a.success || b.success).toBe(true);
    const kept = found === contents.a ? a : b;
    expect(kept.success).toBe(true);
    for (const failed of [a, b].filter(({ success }) => !success)) {
      expect(failed.errorCode).toBe('DestinationConflict');
      expect(['performed', 'notNeeded']).toContain(failed.rollback.status);
    }
    expect(one.leftovers()).toEqual([]);
  }

  test.each([1, 2, 3, 4, 5])('a new target is one of both completely, and exactly one of them succeeds (%d)', async (round) => {
    const ends = await race(`new-${round}`);
    expectWhole(ends);
    expect([ends.a, ends.b].filter(({ success }) => success)).toHaveLength(1);
  });

  test.each([1, 2, 3, 4, 5])('a target that was there is replaced by one of both completely (%d)', async (round) => {
    writeFileSync(one.path(`there-${round}`), 'previous');
    expectWhole(await race(`there-${round}`));
  });
});

test('clients that name the shared storage exclude each other across hosts', async () => {
  const { a, b } = sources('shared');
  const backupPath = one.path('shared');
  const storage = 'one-disk';
  const { connection } = one.temporal;
  const [first, second] = [one, other].map(({ taskQueue }) => new BackupClient({ connection, namespace: 'default', taskQueue, storage }));
  meetBeforePublishing(2);
  const running = await first!.startBackupFile({ sourcePath: a, backupPath });
  expect(await second!.backupFile({ sourcePath: b, backupPath })).toMatchObject({ success: false, errorCode: 'TargetBusy' });
  meeting?.open();
  expect(await running.result()).toMatchObject({ success: true });
  expect(readFileSync(backupPath, 'utf8')).toBe(contents.a);
});
