import * as fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { TransferControl } from '../../../src/storage/control';
import { sweepRemoved, unlistSnapshot } from '../../../src/storage/snapshot/remove-snapshot';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { snapshotNames } from '../../../src/storage/snapshot/snapshot-record';
import { check, named } from '../../helpers/check';
import { exactTree } from '../../helpers/exact-tree';
import { makeFolder, memoryFolder, removeFolder } from '../../helpers/files';
import { apply, edit, plant, tree } from '../../helpers/random-tree';
import { Restore } from '../restore/restore';
import { SnapshotRun } from './snapshot-run';

jest.setTimeout(120_000);

const edits = fc.array(edit, { minLength: 1, maxLength: 8 });

/** A snapshot, and the tree that it was taken of. */
interface Taken {
  readonly name: string;
  readonly tree: Record<string, string>;
}

/** Lets what was written before count as settled: later only times tell that it is unchanged, and nobody reads it. */
function settle(folder: string): void {
  for (const end = Date.now() + 70; Date.now() < end; ) fs.statSync(folder);
}

function take(folder: string, source: string, rehash: boolean): Taken {
  const before = exactTree(source, { withTop: true });
  const run = new SnapshotRun(folder, join(folder, 'repository'), [source], { rehash, allowEmpty: true });
  expect(run.take()).toMatchObject({ status: 'complete', counts: { failed: 0, vanished: 0 } });
  return { name: run.name, tree: before };
}

async function expectAllAsTheyWere(folder: string, source: string, taken: readonly Taken[]): Promise<void> {
  expect(snapshotNames(join(folder, 'repository'))).toEqual(taken.map(({ name }) => name));
  expect(named((await check(join(folder, 'repository'))).problems)).toEqual([]);
  for (const each of taken) {
    const target = join(folder, 'target');
    expect(new Restore(folder, { snapshot: each.name, target, withOwners: true }).run()).toMatchObject({ failed: 0, skipped: 0 });
    expect(exactTree(join(target, source), { withTop: true })).toEqual(each.tree);
    removeFolder(target);
  }
}

test('whatever is done to a tree between snapshots, each restores the tree as it was then, also when others are pruned', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.tuple(edits, edits), fc.boolean(), fc.boolean(), fc.subarray([0, 1, 2]), async (first, changes, isSettled, rehash, pruned) => {
      const folder = makeFolder(memoryFolder());
      const source = join(folder, 'source');
      try {
        initRepository(join(folder, 'repository'));
        fs.mkdirSync(source);
        plant(Buffer.from(source), first);
        const taken: Taken[] = [];
        for (const each of [[], ...changes]) {
          apply(source, each);
          if (isSettled) settle(folder);
          taken.push(take(folder, source, rehash && taken.length === 2));
        }
        await expectAllAsTheyWere(folder, source, taken);
        for (const index of pruned) unlistSnapshot(join(folder, 'repository'), taken[index]?.name ?? '');
        expect(sweepRemoved(join(folder, 'repository'), new TransferControl()).problems).toEqual([]);
        await expectAllAsTheyWere(folder, source, taken.filter((_, index) => !pruned.includes(index)));
      } finally {
        removeFolder(folder);
      }
    }),
    { seed: 20261124, numRuns: 80 },
  );
});
