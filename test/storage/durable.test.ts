import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { contentOf, makeFolder, memoryFolder, removeFolder } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { Run } from './batch/run';
import { Operation } from './operation';
import { Crash, crashing } from './patched-fs';
import { Power } from './power';
import { Restore } from './restore/restore';
import { SnapshotRun } from './snapshot/snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

/** Steps of one run, in order: what each of them has reported must outlive a power cut. */
type Steps = readonly (readonly [name: string, step: () => unknown])[];

/** What is done with a folder that holds some sources, by this power supply. */
type Kind = (folder: string, power: Power, syncEach: boolean) => Steps;

const files = ['a', 'b', 'sub/c', 'sub/deeper/d'];

const file: Kind = (folder) => {
  const operation = new Operation(folder, join(folder, 'source', 'a'), join(folder, 'made', 'below', 'target'));
  return [
    ['prepareStaging', () => operation.prepare()],
    ['stageFile', () => operation.stage()],
    ['publishFile', () => operation.publish()],
    ['finalizeFile', () => operation.finalize()],
  ];
};

const undoneFile: Kind = (folder) => {
  const operation = new Operation(folder, join(folder, 'source', 'a'), join(folder, 'made', 'below', 'target'));
  return [
    ['prepareStaging', () => operation.prepare()],
    ['stageFile', () => operation.stage()],
    ['publishFile', () => operation.publish()],
    ['unpublishFile', () => operation.unpublish()],
    ['discardStaging', () => operation.discard()],
  ];
};

const batch = (rollBack: boolean): Kind => (folder, power, syncEach) => {
  const run = new Run(folder, rollBack, join(folder, 'made', 'backups'), { control: power.control, syncEach });
  const sources = files.map((name) => join(folder, 'source', name));
  return [
    ['planBatch', () => run.plan(sources, 'tree')],
    ['backupChunk', () => run.work()],
    ['sealRun', () => run.seal()],
  ];
};

const undoneBatch: Kind = (folder, power, syncEach) => {
  const run = new Run(folder, true, join(folder, 'made', 'backups'), { control: power.control, syncEach });
  const sources = files.map((name) => join(folder, 'source', name));
  return [
    ['planBatch', () => run.plan(sources, 'tree')],
    ['backupChunk', () => run.work()],
    ['undoChunks', () => run.undo()],
    ['sealRun', () => run.seal()],
  ];
};

/** The second snapshot links everything, or everything but one file. */
const snapshot = (changed: readonly string[], isFirst = false): Kind => (folder, power, syncEach) => {
  const repository = join(folder, 'repository');
  initRepository(repository);
  if (!isFirst) new SnapshotRun(folder, repository, [join(folder, 'source')]).take();
  changed.forEach((name) => fs.writeFileSync(join(folder, 'source', name), `changed ${name}`));
  const run = new SnapshotRun(folder, repository, [join(folder, 'source')], { control: power.control, syncEach });
  return [
    ['planSnapshot', () => run.plan()],
    ['snapshotChunk', () => run.chunk()],
    ['sealSnapshot', () => run.seal()],
  ];
};

const discardedSnapshot: Kind = (folder, power, syncEach) => {
  const repository = join(folder, 'repository');
  initRepository(repository);
  const run = new SnapshotRun(folder, repository, [join(folder, 'source')], { control: power.control, syncEach });
  return [
    ['planSnapshot', () => run.plan()],
    ['snapshotChunk', () => run.chunk()],
    ['discardSnapshot', () => run.discard()],
  ];
};

const restore: Kind = (folder, power, syncEach) => {
  const repository = join(folder, 'repository');
  initRepository(repository);
  fs.symlinkSync('a', join(folder, 'source', 'link'));
  fs.linkSync(join(folder, 'source', 'a'), join(folder, 'source', 'second'));
  fs.mkdirSync(join(folder, 'source', 'empty'));
  writeSnapshot(repository, join(folder, 'source'));
  const run = new Restore(folder, { target: join(folder, 'made', 'target'), control: power.control, syncEach });
  return [
    ['planRestore', () => (run.open(), run.plan())],
    ['restoreChunk', () => run.chunk()],
    ['finishRestore', () => run.finish()],
    ['closeRestore', () => run.close()],
  ];
};

const kinds: [string, Kind][] = [
  ['a file', file],
  ['a file that is undone', undoneFile],
  ['a batch', batch(false)],
  ['a batch that is all or nothing', batch(true)],
  ['a batch that is undone', undoneBatch],
  ['the first snapshot', snapshot([], true)],
  ['a snapshot of unchanged files', snapshot([])],
  ['a snapshot of which one file has changed', snapshot(['sub/c'])],
  ['a snapshot that is discarded', discardedSnapshot],
  ['a restore', restore],
];

const cases = kinds.flatMap(([title, kind]) => [true, false].map((syncEach): [string, Kind, boolean] => [`${title}, ${syncEach ? 'each file and directory synced by itself' : 'all synced at once'}`, kind, syncEach]));

/** What a run has removed within a directory of its own may come back: all of that goes some time. */
const own = /\/(\.file-backup-[^/]+|runs\/[^/]+|incoming\/[^/]+)\//;

/** More calls than any sequence makes. */
const ENDLESS = 2000;

let folder: string;
beforeEach(() => {
  folder = makeFolder(memoryFolder());
});
afterEach(() => removeFolder(folder));

/** Runs the steps in a folder of its own; the process dies before the n-th call that changes something, and the step is repeated. */
function round(kind: Kind, syncEach: boolean, nth: number): boolean {
  const root = fs.mkdtempSync(join(folder, 'round-'));
  for (const [index, name] of files.entries()) {
    fs.mkdirSync(join(root, 'source', name, '..'), { recursive: true });
    fs.writeFileSync(join(root, 'source', name), contentOf(index, 2000));
  }
  const power = new Power(root, syncEach);
  const steps = kind(root, power, syncEach);
  const stop = power.watch();
  let died = false;
  try {
    const death = crashing(nth);
    try {
      for (const [name, step] of steps) {
        try {
          step();
        } catch (error) {
          if (!(error instanceof Crash)) throw error;
        }
        if (death.crashed()) {
          died = true;
          death.restart();
          power.bury();
          step();
        }
        expect({ nth, name, lost: power.lost(), broughtBack: power.broughtBack().filter((path) => !own.test(path)), missed: power.missedByJournals }).toEqual({ nth, name, lost: [], broughtBack: [], missed: [] });
        if (died) break;
      }
    } finally {
      if (!died) death.restart();
    }
  } finally {
    stop();
    removeFolder(root);
  }
  return died;
}

describe.each(cases)('%s', (_title, kind, syncEach) => {
  test('has nothing to lose in a power cut when a step reports or a journal says that it is done', () => {
    expect(round(kind, syncEach, ENDLESS)).toBe(false);
  });

  test('has nothing to lose either when a step takes over what one that died has left', () => {
    let nth = 1;
    while (round(kind, syncEach, nth)) nth += 1;
    expect(nth).toBeGreaterThan(20);
  });
});
