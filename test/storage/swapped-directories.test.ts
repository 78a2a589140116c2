import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../src/storage/control';
import { errnoName, StorageError } from '../../src/storage/errors';
import { removeTree } from '../../src/storage/remove-tree';
import { discardRun } from '../../src/storage/batch/discard-run';
import { inspectRun } from '../../src/storage/batch/open-run';
import { pruneRepository } from '../../src/storage/snapshot/prune-repository';
import { initRepository } from '../../src/storage/snapshot/repository';
import { acceptAnyDestination } from '../../src/storage/trust';
import { copyPath, flip, repair } from '../helpers/check';
import { asUser, contentOf, isRoot, makeFolder, memoryFolder, removeFolder, STRANGER, treeOf } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { Run } from './batch/run';
import { codeOf, Operation } from './operation';
import { interceptFs, withPatched } from './patched-fs';
import { Restore } from './restore/restore';
import { SnapshotRun } from './snapshot/snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

/** Another user's rights are needed to take them away from root's directories. */
const asRoot = isRoot ? describe : describe.skip;

/** Moments of each step at which a directory is swapped: evenly spread over its calls. */
const MOMENTS = 10;

let folder: string;
beforeEach(() => {
  folder = makeFolder(memoryFolder());
  fs.chmodSync(folder, 0o755);
  acceptAnyDestination(true);
});
afterEach(() => {
  acceptAnyDestination(false);
  removeFolder(folder);
});

/** Where root works, in a directory of a stranger's, and a directory elsewhere that looks the same and is root's alone. */
class World {
  readonly root: string;
  readonly place: string;
  private readonly victim: string;
  private before: Record<string, string> = {};

  constructor(name: string) {
    this.root = join(folder, name);
    this.place = join(this.root, 'open/place');
    this.victim = join(this.root, 'victim');
    fs.mkdirSync(this.place, { recursive: true });
    fs.mkdirSync(join(this.root, 'files/sub'), { recursive: true });
    for (const file of ['files/a', 'files/sub/b']) fs.writeFileSync(join(this.root, file), contentOf(file, 500));
    for (const directory of [this.root, join(this.root, 'open')]) fs.chmodSync(directory, 0o755);
    for (const directory of [join(this.root, 'open'), this.place]) fs.chownSync(directory, STRANGER, STRANGER);
  }

  get files(): string[] {
    return ['files/a', 'files/sub/b'].map((file) => join(this.root, file));
  }

  /** What the stranger can rename: everything in a directory of his own. */
  swappable(): string[] {
    return [this.place, ...fs.readdirSync(this.place, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [join(this.place, entry.name)] : []))];
  }

  /** As the stranger: puts the directory aside, and in its place a link to root's own, where everything has the same names. */
  swap(directory: string): void {
    fs.cpSync(directory, this.victim, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    this.before = treeOf(this.victim);
    asUser(STRANGER, () => {
      fs.renameSync(directory, `${directory}-aside`);
      fs.symlinkSync(this.victim, directory);
    });
  }

  requireVictim(moment: string): void {
    expect([moment, fs.existsSync(this.victim) ? treeOf(this.victim) : {}]).toEqual([moment, this.before]);
  }
}

/** Counts the calls of a step that is left alone. */
function callsOf(step: () => unknown): number {
  let calls = 0;
  const stop = interceptFs((_call, proceed) => {
    calls += 1;
    return proceed();
  });
  try {
    void step();
  } finally {
    stop();
  }
  return calls;
}

/** Runs a step, and does something before its n-th call. Whatever the step finds then must be a finding of its own. */
function interrupted(step: () => unknown, nth: number, calls: () => void): void {
  let count = 0;
  const stop = interceptFs((_call, proceed) => {
    count += 1;
    if (count === nth) calls();
    return proceed();
  });
  try {
    void step();
  } catch (error) {
    if (!(error instanceof StorageError) && errnoName(error) === undefined) throw error;
  } finally {
    stop();
  }
}

type Prepare = (world: World) => () => unknown;

function operation(world: World, previous: boolean): Operation {
  if (previous) fs.writeFileSync(join(world.place, 'target'), 'previous');
  return new Operation(world.root, world.files[0], join(world.place, 'target'));
}

function batch(world: World, rollBack: boolean): Run {
  const run = new Run(world.root, rollBack, world.place);
  run.plan(world.files);
  return run;
}

function snapshot(world: World): SnapshotRun {
  initRepository(world.place);
  writeSnapshot(world.place, join(world.root, 'files'), { startedAt: new Date('2025-01-01T00:00:00Z') });
  return new SnapshotRun(world.root, world.place, [join(world.root, 'files')]);
}

function restore(world: World): Restore {
  initRepository(join(world.root, 'repository'));
  writeSnapshot(join(world.root, 'repository'), join(world.root, 'files'));
  const run = new Restore(world.root, { target: world.place });
  run.open();
  run.plan();
  return run;
}

function prune(repository: string): unknown {
  return pruneRepository({ repository, policy: { tags: [], last: 1 }, tags: [], sources: [], readData: false, dryRun: false, nowMs: Date.UTC(2026, 0, 1) }, new TransferControl());
}

const steps: readonly (readonly [string, Prepare])[] = [
  ['preparing staging', (world) => () => operation(world, false).prepare()],
  ['staging a file', (world) => bound(operation(world, false), (run) => run.prepare(), (run) => run.stage())],
  ['publishing a file', (world) => bound(operation(world, true), (run) => run.readyToPublish(), (run) => run.publish())],
  ['the undo of a file', (world) => bound(operation(world, true), (run) => (run.readyToPublish(), run.publish()), (run) => run.undo())],
  ['the commit of a file', (world) => bound(operation(world, true), (run) => (run.readyToPublish(), run.publish()), (run) => run.finalize())],
  ['planning a batch', (world) => () => batch(world, false)],
  ['a chunk of a batch', (world) => bound(batch(world, true), () => undefined, (run) => run.run())],
  ['the undo of a batch', (world) => bound(batch(world, true), (run) => run.run(), (run) => run.undo())],
  ['sealing a batch', (world) => bound(batch(world, false), (run) => run.run(), (run) => run.seal())],
  ['discarding a batch', (world) => bound(batch(world, false), () => undefined, ({ location, owner }) => discardRun(location, owner, { ...inspectRun(location), missingDirectories: [] }))],
  ['planning a snapshot', (world) => bound(snapshot(world), () => undefined, (run) => run.plan())],
  ['a chunk of a snapshot', (world) => bound(snapshot(world), (run) => run.plan(), (run) => run.chunk())],
  ['sealing a snapshot', (world) => bound(snapshot(world), (run) => (run.plan(), run.chunk()), (run) => run.seal())],
  ['discarding a snapshot', (world) => bound(snapshot(world), (run) => (run.plan(), run.chunk()), (run) => run.discard())],
  ['a chunk of a restore', (world) => bound(restore(world), () => undefined, (run) => run.chunk())],
  ['finishing a restore', (world) => bound(restore(world), (run) => run.chunk(), (run) => run.finish())],
  ['closing a restore', (world) => bound(restore(world), (run) => (run.chunk(), run.finish()), (run) => run.close())],
  ['pruning', (world) => bound(snapshot(world), (run) => run.take(), () => prune(world.place))],
];

function bound<Run>(run: Run, ready: (run: Run) => unknown, step: (run: Run) => unknown): () => unknown {
  ready(run);
  return () => step(run);
}

asRoot('whoever may rename directories swaps one for a link to a directory of root\'s, which looks the same', () => {
  test.each(steps)('%s touches nothing there, whenever that happens', (_title, prepare) => {
    const calls = callsOf(prepare(new World('alone')));
    expect(calls).toBeGreaterThan(5);
    for (let moment = 0; moment < MOMENTS; moment += 1) {
      const nth = 1 + Math.floor((moment * calls) / MOMENTS);
      for (const which of ['place', 'own'] as const) {
        const world = new World(`world-${moment}-${which}`);
        const step = prepare(world);
        interrupted(step, nth, () => {
          const [place = '', ...own] = world.swappable();
          const chosen = which === 'place' ? place : own[0];
          if (chosen !== undefined) world.swap(chosen);
        });
        world.requireVictim(`${which}, before call ${nth}`);
        removeFolder(world.root);
      }
    }
  });

  test('repairing touches nothing there, whenever that happens', async () => {
    for (let nth = 20; nth < 1500; nth += 150) {
      const world = new World(`world-${nth}`);
      snapshot(world);
      writeSnapshot(world.place, join(world.root, 'files'), { startedAt: new Date('2025-01-02T00:00:00Z') });
      const [newest = ''] = fs.readdirSync(world.place).filter((name) => name.startsWith('2025')).sort().reverse();
      flip(copyPath(world.place, newest, world.files[1] ?? ''), 5);
      let count = 0;
      const stop = interceptFs((_call, proceed) => {
        count += 1;
        if (count === nth) world.swap(join(world.place, newest));
        return proceed();
      });
      try {
        await repair(world.place);
      } catch (error) {
        if (!(error instanceof StorageError) && errnoName(error) === undefined) throw error;
      } finally {
        stop();
      }
      world.requireVictim(`before call ${nth}`);
    }
  });
});

asRoot('a directory of somebody else\'s that takes the place of the run\'s own', () => {
  /** As the stranger, in his own directory: renames root's, and makes one of his own. */
  function replace(directory: string, fill: (directory: string) => void): void {
    asUser(STRANGER, () => {
      fs.renameSync(directory, `${directory}-aside`);
      fs.mkdirSync(directory, 0o700);
      fill(directory);
    });
  }

  test('publishes nothing: a file that was exchanged after it was verified is none of the run\'s', () => {
    const world = new World('world');
    const run = operation(world, false).readyToPublish();
    run.verify();
    const name = run.staged?.name ?? '';
    replace(run.stagingPath, (directory) => fs.writeFileSync(join(directory, name), 'evil'));
    expect(codeOf(() => run.publish())).toBe('DestinationNotTrusted');
    expect(fs.existsSync(run.targetPath)).toBe(false);
  });

  test.each([false, true])('publishes nothing for good at the very last moment, with a previous target: %p', (previous) => {
    const world = new World('world');
    const run = operation(world, previous).readyToPublish();
    run.verify();
    const name = run.staged?.name ?? '';
    const exchange = ([from, to]: readonly unknown[], proceed: () => unknown): unknown => {
      if (String(from).includes(`/.file-backup-${run.runId}/`) && /\/(target|ready-[^/]+)$/.test(String(to))) replace(run.stagingPath, (directory) => fs.writeFileSync(join(directory, name), 'evil'));
      return proceed();
    };
    expect(withPatched('linkSync', exchange, () => codeOf(() => run.publish()))).toBe('DestinationConflict');
    expect(fs.existsSync(run.targetPath) ? fs.readFileSync(run.targetPath, 'utf8') : null).toBe(previous ? 'previous' : null);
  });

  test('is no plan of a restore: what it says is not made', () => {
    const world = new World('world');
    const run = restore(world);
    const { runId } = run.location;
    replace(join(world.place, '.file-backup'), (directory) => {
      const forged = join(directory, 'runs', runId);
      for (const name of ['plan', 'journal', 'staging']) fs.mkdirSync(join(forged, name), { recursive: true });
      fs.writeFileSync(join(forged, 'owner.json'), JSON.stringify({ workflowId: 'restore', runId }));
      fs.writeFileSync(join(forged, 'plan/planned.json'), '{"chunks":0}');
      const attributes = { mode: '0777', uid: STRANGER, gid: STRANGER, mtimeNs: '0' };
      fs.writeFileSync(join(forged, 'plan/tree.ndjson'), `${JSON.stringify({ type: 'directory', path: '/evil', isDue: true, attributes })}\n`);
    });
    for (const step of [() => run.chunk(), () => run.finish(), () => run.close()]) expect(codeOf(step)).toBe('DestinationNotTrusted');
    expect(fs.existsSync(join(world.place, 'evil'))).toBe(false);
  });

  test('is not sealed, undone or discarded, even where it is root\'s own directory of another run', () => {
    const world = new World('world');
    const [run, other] = [batch(world, true), batch(world, true)];
    run.run();
    asUser(STRANGER, () => fs.renameSync(join(world.place, '.file-backup'), join(world.place, 'aside')));
    fs.mkdirSync(join(world.place, '.file-backup/runs'), { recursive: true, mode: 0o700 });
    fs.renameSync(join(world.place, 'aside/runs', other.location.runId), run.directory);
    const before = treeOf(run.directory);
    for (const step of [() => run.undo(), () => run.seal(), () => discardRun(run.location, run.owner, { ...inspectRun(run.location), missingDirectories: [] })]) expect(codeOf(step)).toBe('DestinationNotTrusted');
    expect(treeOf(run.directory)).toEqual(before);
  });

  test('root\'s other directories are no staging directory: nothing in them is deleted', () => {
    const world = new World('world');
    const run = operation(world, false).readyToPublish();
    fs.mkdirSync(join(world.place, 'records'), 0o700);
    fs.writeFileSync(join(world.place, 'records/precious'), 'x');
    asUser(STRANGER, () => {
      fs.renameSync(run.stagingPath, join(world.place, 'aside'));
      fs.renameSync(join(world.place, 'records'), run.stagingPath);
    });
    expect(codeOf(() => run.discard())).toBe('DestinationNotTrusted');
    expect(fs.readdirSync(run.revokedPath)).toEqual(['precious']);
  });
});

describe('removing a tree', () => {
  test('is of one entry of the directory, and of nothing beside or above it', () => {
    for (const name of ['..', '.', '', '../x', 'a/b', '/etc']) expect(codeOf(() => removeTree(folder, name))).toBe('InvalidInput');
  });

  test('leaves what a link names, at its start and below', () => {
    for (const name of ['tree', 'victim']) fs.mkdirSync(join(folder, name));
    fs.writeFileSync(join(folder, 'victim/precious'), 'x');
    for (const link of ['link', 'tree/link']) fs.symlinkSync(join(folder, 'victim'), join(folder, link));
    removeTree(folder, 'link');
    removeTree(folder, 'tree');
    expect(fs.readdirSync(folder)).toEqual(['victim']);
    expect(fs.readdirSync(join(folder, 'victim'))).toEqual(['precious']);
  });

  test('stops where another file system is mounted', () => {
    fs.mkdirSync(join(folder, 'tree/mounted'), { recursive: true });
    fs.writeFileSync(join(folder, 'tree/mounted/precious'), 'x');
    let opened = 0;
    const elsewhere = (_args: readonly unknown[], proceed: () => unknown): unknown => {
      opened += 1;
      // The second directory that is opened is the one that is said to be another file system's root.
      return opened === 2 ? { dev: -1 } : proceed();
    };
    expect(withPatched('fstatSync', elsewhere, () => codeOf(() => removeTree(folder, 'tree')))).toBe('DestinationConflict');
    expect(fs.existsSync(join(folder, 'tree/mounted/precious'))).toBe(true);
  });
});
