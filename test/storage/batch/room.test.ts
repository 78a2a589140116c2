import * as fs from 'node:fs';
import { join } from 'node:path';
import { planBatch } from '../../../src/storage/batch/plan-batch';
import { requireBatchRoom, requireRoom } from '../../../src/storage/batch/room';
import { requireRestoreRoom } from '../../../src/storage/snapshot/restore/restore-needs';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { codeOf, thrownBy } from '../operation';
import { withPatched } from '../patched-fs';
import { Restore } from '../restore/restore';
import { Run } from './run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const EXT4 = 0xef53;
const BTRFS = 0x9123683e;
const MIB = 1024 * 1024;

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

/** As if the file system had no more than this left. */
function withFree<T>({ bytes = 2 ** 40, files = 1_000_000, type = EXT4 }, calls: () => T): T {
  return withPatched('statfsSync', () => ({ type, bsize: 1, blocks: 2 ** 41, bavail: bytes, bfree: bytes, files: 2_000_000, ffree: files }), calls);
}

function makeFile(name: string, sizeBytes: number): string {
  fs.writeFileSync(path(name), Buffer.alloc(sizeBytes, name));
  return path(name);
}

test('what is plainly impossible is refused, with what is needed and what is free, by bytes and by inodes', () => {
  const need = { directory: folder(), bytes: 2 * MIB, files: 30 };
  expect(thrownBy(() => withFree({ bytes: MIB }, () => requireRoom([need])))).toMatchObject({ code: 'ENOSPC', path: folder(), message: `${folder()} has 1.000 MiB and 1000000 inodes free, and 2.000 MiB and 30 inodes are needed; nothing was copied` });
  expect(codeOf(() => withFree({ files: 29 }, () => requireRoom([need])))).toBe('ENOSPC');
  expect(withFree({ bytes: 3 * MIB, files: 30 }, () => requireRoom([need]))).toEqual({ neededBytes: 2 * MIB, neededFiles: 30, freeBytes: 3 * MIB, freeFiles: 30 });
});

test('a file system that may hold more than it says is not refused, nor one that says nothing', () => {
  const need = { directory: folder(), bytes: 2 * MIB, files: 30 };
  expect(withFree({ bytes: MIB, type: BTRFS }, () => requireRoom([need]))).toMatchObject({ neededBytes: 2 * MIB, freeBytes: MIB });
  const silent = (): object => ({ type: EXT4, bsize: 4096, blocks: 0, bavail: 0, bfree: 0, files: 0, ffree: 0 });
  expect(withPatched('statfsSync', silent, () => requireRoom([need]))).toMatchObject({ freeBytes: null, freeFiles: null });
});

test('of several file systems each must hold what goes there', () => {
  const needs = [{ directory: folder(), bytes: 1, files: 1 }, { directory: path('small'), bytes: 2 * MIB, files: 1 }];
  const answer = ([where]: readonly unknown[]): object => ({ type: EXT4, bsize: 1, blocks: 2 ** 41, bavail: where === path('small') ? MIB : 2 ** 40, bfree: where === path('small') ? MIB : 2 ** 40, files: 0, ffree: 0 });
  expect(thrownBy(() => withPatched('statfsSync', answer, () => requireRoom(needs)))).toMatchObject({ code: 'ENOSPC', path: path('small') });
});

test('holes are not counted, and neither is what the last run left as it is', () => {
  const sparse = path('sparse');
  fs.writeFileSync(sparse, '');
  fs.truncateSync(sparse, 1024 * MIB);
  const plain = makeFile('plain', MIB);
  const first = new Run(folder(), false);
  first.plan([sparse, plain]);
  const plan = (run: Run) => planBatch({ location: run.location, owner: run.owner, list: { sources: [sparse, plain] }, layout: 'flat', rehash: false }, run.control);
  expect(plan(first).needed).toEqual({ bytes: MIB, files: 2 });
  const small = new Run(folder(), false);
  small.plan([plain]);
  const task = small.attempt();
  small.publish(task, small.stage(task));
  small.seal();
  const again = new Run(folder(), false);
  again.plan([plain]);
  expect(planBatch({ location: again.location, owner: again.owner, list: { sources: [plain] }, layout: 'flat', rehash: false }, again.control).needed).toEqual({ bytes: 0, files: 0 });
});

test('targets that are replaced give back what they take', () => {
  const source = makeFile('source', 3 * MIB);
  const run = new Run(folder(), false);
  run.plan([source]);
  const needed = { bytes: 3 * MIB, files: 1 };
  expect(codeOf(() => withFree({ bytes: MIB }, () => requireBatchRoom(run.location, 1, needed)))).toBe('ENOSPC');
  fs.writeFileSync(path('backups', 'source.backup'), Buffer.alloc(3 * MIB, 1));
  expect(withFree({ bytes: MIB, files: 0 }, () => requireBatchRoom(run.location, 1, needed))).toMatchObject({ neededBytes: 3 * MIB });
  // One with a further name gives nothing back.
  fs.linkSync(path('backups', 'source.backup'), path('further'));
  expect(codeOf(() => withFree({ bytes: MIB }, () => requireBatchRoom(run.location, 1, needed)))).toBe('ENOSPC');
});

describe('a restore', () => {
  const source = (...names: string[]): string => path('tree', ...names);

  beforeEach(() => {
    initRepository(path('repository'));
    fs.mkdirSync(source());
    fs.writeFileSync(source('plain'), Buffer.alloc(3 * MIB, 1));
    fs.linkSync(source('plain'), source('twin'));
  });

  function roomOf(restore: Restore): unknown {
    const { chunks, needs = [], snapshot } = restore.plan();
    return requireRestoreRoom(restore.location, chunks, needs, { repositoryRoot: folder(), repository: restore.repository, snapshot });
  }

  test('that does not fit is refused by preview and run alike, and further names do not count', () => {
    writeSnapshot(path('repository'), source());
    const restore = new Restore(folder());
    withFree({ bytes: 3 * MIB - 1 }, () => expect(codeOf(() => restore.preview())).toBe('ENOSPC'));
    withFree({ bytes: 3 * MIB }, () => expect(restore.preview().filter(([, , action]) => action === 'restored')).not.toEqual([]));
    restore.open();
    expect(codeOf(() => withFree({ bytes: 3 * MIB - 1 }, () => roomOf(restore)))).toBe('ENOSPC');
    expect(withFree({ bytes: 3 * MIB }, () => roomOf(restore))).toMatchObject({ neededBytes: 3 * MIB });
  });

  test('of files with holes needs no more than their copies in the repository take', () => {
    fs.truncateSync(source('plain'), 64 * MIB);
    const name = writeSnapshot(path('repository'), source('..', 'tree'));
    const copy = path('repository', name, 'data', source('plain'));
    // However the copy was made, as one that kept its holes.
    fs.rmSync(copy);
    fs.writeFileSync(copy, Buffer.alloc(3 * MIB, 1));
    fs.truncateSync(copy, 64 * MIB);
    const restore = new Restore(folder());
    withFree({ bytes: 10 * MIB }, () => expect(() => restore.preview()).not.toThrow());
    restore.open();
    expect(withFree({ bytes: 10 * MIB }, () => roomOf(restore))).toMatchObject({ freeBytes: 10 * MIB });
  });

  test('of what is there as recorded needs nothing', () => {
    writeSnapshot(path('repository'), source());
    new Restore(folder()).run();
    const again = new Restore(folder());
    again.open();
    expect(withFree({ bytes: 0, files: 0 }, () => roomOf(again))).toMatchObject({ neededBytes: 0, neededFiles: 0 });
  });
});
