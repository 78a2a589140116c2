import * as fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { exactTree } from '../../helpers/exact-tree';
import { makeFolder, memoryFolder, removeFolder } from '../../helpers/files';
import { plant, tree } from '../../helpers/random-tree';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { Restore } from './restore';

test('any tree comes back as it was, over nothing and over any other tree of the same names\' kinds', () => {
  fc.assert(
    fc.property(tree, tree, fc.constantFrom('always' as const, 'ifChanged' as const), (wanted, other, overwrite) => {
      const folder = makeFolder(memoryFolder());
      try {
        const source = join(folder, 'source');
        fs.mkdirSync(source);
        plant(Buffer.from(source), wanted);
        initRepository(join(folder, 'repository'));
        writeSnapshot(join(folder, 'repository'), source);
        const before = exactTree(source);
        const finished = new Restore(folder, { overwrite, withOwners: true }).run();
        expect(exactTree(join(folder, 'target', source))).toEqual(before);
        expect([finished.failed, finished.skipped, finished.restored]).toEqual([0, 0, finished.entries]);

        // Over another tree: what fails is named, everything else is as recorded, and what is not in the snapshot stays.
        const target = join(folder, 'other', source);
        fs.mkdirSync(target, { recursive: true });
        plant(Buffer.from(target), other);
        const there = exactTree(target);
        const preview = new Restore(folder, { overwrite, withOwners: true, target: join(folder, 'other') }).preview();
        const over = new Restore(folder, { overwrite, withOwners: true, target: join(folder, 'other') }).run();
        const after = exactTree(target);
        const isAsItWas = (key: string): boolean => there[key] !== undefined && before[key] === undefined;
        expect(Object.keys(there).filter((key) => isAsItWas(key) && after[key] === undefined)).toEqual([]);
        expect(over.restored + over.unchanged + over.failed).toBe(over.entries);
        expect(preview.filter(([, , action]) => action === 'conflict')).toHaveLength(over.failed);
        if (over.failed > 0) return;
        const isAlone = (key: string): boolean => overwrite === 'always' && after[key]?.includes(' is ') === false && before[key]?.includes(' is ') === false;
        expect(Object.keys(after).filter((key) => key in before)).toEqual(Object.keys(before));
        expect(Object.keys(before).filter((key) => isAlone(key) && after[key] !== before[key])).toEqual([]);
      } finally {
        removeFolder(folder);
      }
    }),
    { seed: 20261124, numRuns: 150 },
  );
});
