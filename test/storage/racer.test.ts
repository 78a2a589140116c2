import * as fs from 'node:fs';
import { join } from 'node:path';
import { errnoName, StorageError } from '../../src/storage/errors';
import { pruneRepository } from '../../src/storage/snapshot/prune-repository';
import { initRepository } from '../../src/storage/snapshot/repository';
import { TransferControl } from '../../src/storage/control';
import { acceptAnyDestination } from '../../src/storage/trust';
import { check, copyPath, flip, repair } from '../helpers/check';
import { contentOf, makeFolder, memoryFolder, removeFolder } from '../helpers/files';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { Run } from './batch/run';
import { Operation } from './operation';
import { Racer } from './racer';
import { Restore } from './restore/restore';
import { SnapshotRun } from './snapshot/snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

/** How many swaps each kind of run has to bear; `FILE_BACKUP_SWAPS` sets the sum over all kinds. */
const SWAPS = Number(process.env.FILE_BACKUP_SWAPS ?? 2000);

type Step = readonly [name: string, run: () => unknown];

/** The steps of a run, as a workflow has them. */
interface Steps {
  readonly forward: Step[];
  /** After a step has failed. */
  readonly back: Step[];
}

/** Makes a world in an empty directory, and answers the steps of a run in it. */
type Prepare = (inside: string) => Steps;

const files = ['a', 'sub/b', 'sub/deep/c', 'sub/deep/d'];

function plant(directory: string): string[] {
  fs.mkdirSync(join(directory, 'sub/deep'), { recursive: true });
  const paths = files.map((name) => join(directory, name));
  for (const path of paths) fs.writeFileSync(path, contentOf(path, 300), { mode: 0o640 });
  return paths;
}

function fileRun(previous: boolean): Prepare {
  return (inside) => {
    plant(join(inside, 'source'));
    const target = join(inside, previous ? 'target' : 'new/parent/target');
    if (previous) fs.writeFileSync(target, 'previous content');
    const operation = new Operation(inside, join(inside, 'source/sub/b'), target);
    return {
      forward: [['prepare', () => operation.prepare()], ['stage', () => operation.stage()], ['verify', () => operation.verify()], ['publish', () => operation.publish()], ['finalize', () => operation.finalize()]],
      back: [['undo', () => operation.undo()]],
    };
  };
}

function batchRun(rollBack: boolean): Prepare {
  return (inside) => {
    const sources = plant(join(inside, 'source'));
    fs.mkdirSync(join(inside, 'backups'));
    const run = new Run(inside, rollBack);
    const forward: Step[] = [['plan', () => run.plan(sources, 'tree')], ['chunk', () => run.run()], ...(rollBack ? ([['undo', () => run.undo()]] as Step[]) : []), ['seal', () => run.seal()]];
    return { forward, back: [['undo', () => run.undo()], ['seal', () => run.seal()]] };
  };
}

function snapshotRun(inside: string): Steps {
  plant(join(inside, 'source'));
  const repository = join(inside, 'repository');
  initRepository(repository);
  writeSnapshot(repository, join(inside, 'source'), { startedAt: new Date('2025-01-01T00:00:00Z') });
  const run = new SnapshotRun(inside, repository, [join(inside, 'source')]);
  return { forward: [['plan', () => run.plan()], ['chunk', () => run.chunk()], ['seal', () => run.seal()]], back: [['discard', () => run.discard()]] };
}

function restoreRun(inside: string): Steps {
  plant(join(inside, 'source'));
  const repository = join(inside, 'repository');
  initRepository(repository);
  writeSnapshot(repository, join(inside, 'source'));
  fs.mkdirSync(join(inside, 'target'));
  const run = new Restore(inside);
  let isPlanned = false;
  const plan = (): void => {
    run.plan();
    isPlanned = true;
  };
  // Without a plan the worker discards the run, which batches show.
  const ifPlanned = (step: () => unknown) => () => (isPlanned ? step() : undefined);
  return {
    forward: [['open', () => run.open()], ['plan', plan], ['chunk', () => run.chunk()], ['finish', () => run.finish()], ['close', () => run.close()]],
    back: [['finish', ifPlanned(() => run.finish(true))], ['close', ifPlanned(() => run.close())]],
  };
}

function repositoryWithTwo(inside: string): string {
  plant(join(inside, 'source'));
  const repository = join(inside, 'repository');
  initRepository(repository);
  writeSnapshot(repository, join(inside, 'source'), { startedAt: new Date('2025-01-01T00:00:00Z') });
  writeSnapshot(repository, join(inside, 'source'), { startedAt: new Date('2025-01-02T00:00:00Z') });
  return repository;
}

function repairRun(inside: string): Steps {
  const repository = repositoryWithTwo(inside);
  const [newest = ''] = fs.readdirSync(repository).filter((name) => /^\d{4}/.test(name)).sort().reverse();
  flip(copyPath(repository, newest, join(inside, 'source/sub/b')), 5);
  return { forward: [['repair', () => repair(repository)], ['check', () => check(repository)]], back: [] };
}

function pruneRun(inside: string): Steps {
  const repository = repositoryWithTwo(inside);
  const prune = (): unknown => pruneRepository({ repository, policy: { tags: [], last: 1 }, tags: [], sources: [], readData: false, dryRun: false, nowMs: Date.UTC(2026, 0, 1) }, new TransferControl());
  return { forward: [['prune', prune], ['prune again', prune]], back: [] };
}

const kinds: readonly (readonly [string, Prepare])[] = [
  ['the backup of a file to a new target', fileRun(false)],
  ['the backup of a file to a previous target', fileRun(true)],
  ['a batch', batchRun(false)],
  ['a batch that is rolled back', batchRun(true)],
  ['a snapshot', snapshotRun],
  ['a restore', restoreRun],
  ['a repair', repairRun],
  ['pruning', pruneRun],
];

let folder: string;
beforeEach(() => {
  // Elsewhere nobody could swap anything: what has to hold is that nothing else is touched where that was accepted.
  acceptAnyDestination(true);
  folder = makeFolder(memoryFolder());
});
afterEach(() => {
  acceptAnyDestination(false);
  removeFolder(folder);
});

test.each(kinds)('whoever swaps directories for links at any moment of %s leads nothing outside', async (_title, prepare) => {
  const seed = chooseSeed();
  const random = new SeededRandom(seed);
  const needed = Math.ceil(SWAPS / kinds.length);
  for (let round = 0, swaps = 0; swaps < needed; round += 1) {
    const world = join(folder, `world-${round}`);
    const [inside, outside] = [join(world, 'inside'), join(world, 'outside')];
    fs.mkdirSync(inside, { recursive: true });
    fs.mkdirSync(outside);
    const { forward, back } = prepare(inside);
    const racer = new Racer(inside, outside, random);
    const where = `${describeSeed(seed)}, round ${round}`;
    const run = async (steps: readonly Step[]): Promise<boolean> => {
      for (const [name, step] of steps) {
        const error = await racer.during(step);
        expect(`${where}, ${name}: ${racer.touched().slice(0, 5).join('\n')}`).toBe(`${where}, ${name}: `);
        if (error === undefined) continue;
        if (!(error instanceof StorageError) && errnoName(error) === undefined) throw new Error(`${where}, ${name} threw no finding of its own`, { cause: error });
        return false;
      }
      return true;
    };
    if (!(await run(forward))) await run(back);
    racer.leave();
    swaps += racer.swaps;
    removeFolder(world);
  }
});
