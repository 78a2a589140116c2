import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities, type ActivityDependencies, type Batch } from '../../src/activities';
import { StepFailed } from '../../src/activities/step-failed';
import { BatchBackupInput } from '../../src/batch-models';
import { TransferControl } from '../../src/storage/control';
import { StagingRegistry } from '../../src/storage/staging-registry';
import runStep from '../../src/storage/thread';
import { contentOf, makeFolder, memoryFolder, openDescriptors, removeFolder, treeOf } from '../helpers/files';
import { namesIn, runNames } from '../helpers/run-watch';
import { crashing } from '../storage/patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));
// Each file is synced by itself: nobody can wait here for a sync of the file system, since all is one thread.
jest.mock('../../src/activities/file-system-sync', () => ({ ...jest.requireActual<object>('../../src/activities/file-system-sync'), canSyncFileSystem: () => false }));

/** The process dies at every call that changes something; the activity that died is repeated, as Temporal repeats it. */
interface Mode {
  /** All files but one have targets already. */
  readonly previous: boolean;
  /** All or nothing: previous targets are kept until the end. */
  readonly rollBack: boolean;
  /** The call during which it dies is half done: a file is created and written to its half, a directory half removed. */
  readonly halfDone: boolean;
}

const all: readonly Mode[] = [
  { previous: true, rollBack: true, halfDone: true },
  { previous: true, rollBack: true, halfDone: false },
  { previous: false, rollBack: true, halfDone: true },
  { previous: true, rollBack: false, halfDone: true },
  { previous: false, rollBack: false, halfDone: true },
];

const modes = all.map((mode): [string, Mode] => {
  const targets = mode.previous ? 'previous targets' : 'new targets in new directories';
  return [`${targets}, ${mode.rollBack ? 'all or nothing' : 'each file for itself'}${mode.halfDone ? ', calls half done' : ''}`, mode];
});

/** The activities of a batch, in words. */
type ActivityName = 'plan' | 'chunk' | 'amend' | 'revoke' | 'undo' | 'seal';

const forward: readonly ActivityName[] = ['plan', 'chunk', 'seal'];
const back: readonly ActivityName[] = ['revoke', 'undo', 'seal'];

/** More calls than any sequence makes. */
const ENDLESS = 2000;

let folder: string;
beforeEach(() => {
  folder = makeFolder(memoryFolder());
});
afterEach(() => removeFolder(folder));

/** One batch of one chunk in a folder of its own. */
class Round {
  private readonly root: string;
  private readonly destination: string;
  private readonly sources: readonly string[];
  private readonly before: Record<string, string>;
  private readonly runId = randomUUID();
  private readonly activities: ReturnType<typeof createActivities>;
  private batch: Batch | undefined;
  private attempts = 0;

  constructor(private readonly mode: Mode) {
    this.root = fs.mkdtempSync(join(folder, 'round-'));
    this.destination = join(this.root, 'backups');
    fs.mkdirSync(join(this.root, 'sources'));
    fs.mkdirSync(this.destination);
    this.sources = ['a', 'b', 'c'].map((name, index) => {
      const path = join(this.root, 'sources', name);
      fs.writeFileSync(path, contentOf(name, 2000), { mode: 0o640 });
      if (mode.previous && index > 0) fs.writeFileSync(this.targetOf(path), contentOf(`previous ${name}`, 1000), { mode: 0o604 });
      return path;
    });
    this.activities = createActivities({ roots: { sources: [this.root], destinations: [this.root] }, pool, registry: new StagingRegistry(join(this.root, '.file-backup-state')), clusterId: 'cluster', firstRunIdOf: ({ runId }) => Promise.resolve(runId), sweepOthers: () => Promise.resolve() });
    this.before = this.tree();
  }

  /** Runs activities until one dies at the n-th change, counted over all of them; answers those that are still to be done. */
  async runUntilCrash(nth: number, names: readonly ActivityName[]): Promise<{ readonly died: boolean; readonly rest: readonly ActivityName[] }> {
    const simulation = crashing(nth, this.mode);
    try {
      for (const [index, name] of names.entries()) {
        try {
          await this.run(name);
        } catch (error) {
          if (!simulation.crashed()) throw error;
        }
        // Clean-up code may have swallowed it, and a file's own trouble is written down.
        if (simulation.crashed()) return { died: true, rest: names.slice(index) };
      }
      return { died: false, rest: [] };
    } finally {
      simulation.restart();
    }
  }

  async runAll(names: readonly ActivityName[]): Promise<void> {
    for (const name of names) await this.run(name);
  }

  /** Every target is a whole file, old or new, at any moment. */
  requireOldOrNew(): void {
    for (const source of this.sources) {
      const target = this.targetOf(source);
      if (!fs.existsSync(target)) continue;
      const name = source.at(-1) ?? '';
      expect([contentOf(name, 2000), contentOf(`previous ${name}`, 1000)]).toContainEqual(fs.readFileSync(target));
    }
  }

  requireDone(): void {
    for (const source of this.sources) {
      const target = this.targetOf(source);
      expect(fs.readFileSync(target)).toEqual(fs.readFileSync(source));
      expect(fs.statSync(target).mode).toBe(fs.statSync(source).mode);
    }
    this.requireOnlyRecords();
  }

  /** Inodes of the targets, once the chunk's journal is there; or its successor, the manifest. */
  journaled(): Record<string, bigint> {
    const run = join(this.destination, '.file-backup', 'runs', this.runId);
    const isDone = namesIn(join(run, runNames.journal)).some((name) => runNames.journalFile.test(name)) || namesIn(run).includes('summary.json');
    return isDone ? Object.fromEntries(this.sources.map((source) => [source, fs.statSync(this.targetOf(source), { bigint: true }).ino])) : {};
  }

  requireAsBefore(): void {
    expect(this.tree()).toEqual(this.before);
    this.requireOnlyRecords();
  }

  end(): void {
    removeFolder(this.root);
  }

  private requireOnlyRecords(): void {
    expect(fs.readdirSync(join(this.destination, '.file-backup', 'runs', this.runId)).sort()).toEqual(runNames.records);
  }

  private targetOf(source: string): string {
    return this.mode.previous ? join(this.destination, `${source.at(-1)}.backup`) : join(this.destination, source);
  }

  /** Everything but the run's own directory. */
  private tree(): Record<string, string> {
    return Object.fromEntries(Object.entries(treeOf(this.root)).filter(([name]) => !name.includes('.file-backup')));
  }

  private get input(): BatchBackupInput {
    const { sources, destination, mode } = this;
    return BatchBackupInput.parse({ sources, backupDir: destination, layout: mode.previous ? 'flat' : 'tree', onFailure: mode.rollBack ? 'rollBack' : 'continue', verifyFrom: 'cache' });
  }

  private async run(name: ActivityName): Promise<void> {
    const { batch, activities } = this;
    const chunk = 0;
    const storage = 'storage';
    this.attempts += 1;
    const environment = new MockActivityEnvironment({ activityId: name, attempt: this.attempts, workflowExecution: { workflowId: 'workflow', runId: this.runId } }, { logger: silent });
    const calls: Record<ActivityName, () => Promise<unknown>> = {
      plan: async () => (this.batch = await activities.planBatch({ runId: this.runId, input: this.input })),
      chunk: () => activities.backupChunk({ batch: batch as Batch, chunk, pass: 0, storage }),
      amend: () => activities.amendChunk({ batch: batch as Batch, chunk, storage, amendments: [{ index: 0, entry: { state: 'backedUp', sizeBytes: 2000 } }] }),
      revoke: () => activities.revokeRun({ batch: batch as Batch }),
      undo: () => activities.undoChunks({ batch: batch as Batch, end: 1, count: 1 }),
      seal: () => activities.sealRun({ batch: batch as Batch, facts: { state: 'complete', operationId: randomUUID(), metadata: {}, backupDir: this.destination, layout: 'flat', workflowId: 'workflow', ...times } }),
    };
    await environment.run(calls[name]);
  }
}

const times = { startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:01.000Z' };

/** Every death is a step that failed. */
const silent = new DefaultLogger('ERROR', () => undefined);

/** Runs storage's steps in this very thread, where every call can be met. */
const pool = {
  run: (step: Parameters<ActivityDependencies['pool']['run']>[0], input: unknown, control = new TransferControl()): Promise<unknown> => {
    const answer = runStep({ step, input, memory: control.memory, trustDestinations: false });
    return answer.ok ? Promise.resolve(answer.result) : Promise.reject(new StepFailed(answer.error));
  },
} as unknown as ActivityDependencies['pool'];

/** Runs a round for each n until one gets through without dying; tells how often it died. */
async function forEveryCrash(mode: Mode, round: (round: Round, nth: number) => Promise<boolean>, step = 1): Promise<number> {
  for (let nth = 1; ; nth += step) {
    if (nth > ENDLESS) throw new Error('The sequence does not end');
    const current = new Round(mode);
    const died = await round(current, nth);
    current.end();
    if (!died) return nth - 1;
  }
}

describe.each(modes.filter(([, { halfDone }]) => halfDone))('%s', (_title, mode) => {
  test('a death at any moment, and the activity repeated, ends in good targets and nothing left but the record', async () => {
    const deaths = await forEveryCrash(mode, async (round, nth) => {
      const { died, rest } = await round.runUntilCrash(nth, forward);
      round.requireOldOrNew();
      const done = round.journaled();
      await round.runAll(rest);
      round.requireDone();
      // What the journal said to be done was not copied again.
      expect(round.journaled()).toMatchObject(done);
      return died;
    });
    expect(deaths).toBeGreaterThan(40);
  });

  test('two deaths, and the activity repeated each time, end in good targets and nothing left but the record', async () => {
    await forEveryCrash(mode, async (round, nth) => {
      const first = await round.runUntilCrash(nth, forward);
      const second = await round.runUntilCrash(1 + ((nth * 7) % 29), first.rest);
      round.requireOldOrNew();
      await round.runAll(second.rest);
      round.requireDone();
      return first.died;
    }, 3);
  });

  test('a death while a journal is amended, and the activity repeated, ends in good targets and nothing left but the record', async () => {
    const deaths = await forEveryCrash(mode, async (round, nth) => {
      await round.runAll(['plan', 'chunk']);
      const { died, rest } = await round.runUntilCrash(nth, ['amend']);
      await round.runAll([...rest, 'seal']);
      round.requireDone();
      return died;
    });
    expect(deaths).toBeGreaterThan(1);
  });
});

describe.each(modes.filter(([, { rollBack }]) => rollBack))('%s', (_title, mode) => {
  test('a death at any moment before the end, and undo, leaves everything as it was', async () => {
    const deaths = await forEveryCrash(mode, async (round, nth) => {
      await round.runAll(['plan']);
      const { died } = await round.runUntilCrash(nth, ['chunk']);
      await round.runAll(back);
      round.requireAsBefore();
      return died;
    });
    expect(deaths).toBeGreaterThan(20);
  });

  test('a death at any moment of a chunk, the chunk repeated, and undo, leaves everything as it was', async () => {
    await forEveryCrash(mode, async (round, nth) => {
      await round.runAll(['plan']);
      const { died, rest } = await round.runUntilCrash(nth, ['chunk']);
      await round.runAll([...rest, ...back]);
      round.requireAsBefore();
      return died;
    });
  });

  test('two deaths in a chunk, the chunk repeated, and undo, leaves everything as it was', async () => {
    await forEveryCrash(mode, async (round, nth) => {
      await round.runAll(['plan']);
      const first = await round.runUntilCrash(nth, ['chunk']);
      const second = await round.runUntilCrash(1 + ((nth * 7) % 31), first.rest);
      round.requireOldOrNew();
      await round.runAll([...second.rest, ...back]);
      round.requireAsBefore();
      return first.died;
    });
  });

  test('a death at any moment of undo, and the activity repeated, leaves everything as it was', async () => {
    const deaths = await forEveryCrash(mode, async (round, nth) => {
      await round.runAll(['plan', 'chunk']);
      const { died, rest } = await round.runUntilCrash(nth, back);
      await round.runAll(rest);
      round.requireAsBefore();
      return died;
    });
    expect(deaths).toBeGreaterThan(10);
  });

  test('a death in a chunk, and another one at any moment of its undo, leaves everything as it was', async () => {
    await forEveryCrash(mode, async (outer, nthForward) => {
      let died = false;
      await forEveryCrash(mode, async (round, nthBack) => {
        await round.runAll(['plan']);
        died = (await round.runUntilCrash(nthForward, ['chunk'])).died;
        const second = await round.runUntilCrash(nthBack, back);
        await round.runAll(second.rest);
        round.requireAsBefore();
        return second.died;
      });
      outer.requireOldOrNew();
      return died;
    }, 2);
  });
});

test('no descriptor stays open over all these deaths', async () => {
  const before = openDescriptors();
  await forEveryCrash({ previous: true, rollBack: true, halfDone: true }, async (round, nth) => {
    const { died, rest } = await round.runUntilCrash(nth, forward);
    await round.runAll(rest);
    return died;
  });
  expect(openDescriptors()).toBe(before);
});
