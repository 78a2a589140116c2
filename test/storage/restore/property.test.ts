import * as fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { makeFifo, setEntryTimes } from '../../../src/storage/posix';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { exactTree } from '../../helpers/exact-tree';
import { makeFolder, memoryFolder, removeFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { Restore } from './restore';

/** Of few bytes, so that names meet; those that separate paths, end texts or mean a directory are left out. */
const name = fc
  .uint8Array({ minLength: 1, maxLength: 3 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))))
  .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));
const mtimeNs = fc.bigInt({ min: -10_000_000_000_000_000n, max: 4_000_000_000_000_000_000n });
const mode = fc.integer({ min: 0, max: 0o777 });

const leaf = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), content: fc.uint8Array({ maxLength: 40 }), mode, mtimeNs }),
  fc.record({ kind: fc.constant('symlink' as const), to: name, mtimeNs }),
  fc.record({ kind: fc.constant('fifo' as const), mode, mtimeNs }),
  fc.record({ kind: fc.constant('hardLink' as const), of: fc.nat() }),
);

interface DirectoryTree {
  readonly kind: 'directory';
  readonly entries: readonly (readonly [Buffer, Tree])[];
  readonly mode: number;
  readonly mtimeNs: bigint;
}

type Tree = DirectoryTree | (typeof leaf extends fc.Arbitrary<infer Leaf> ? Leaf : never);

const { tree } = fc.letrec<{ tree: DirectoryTree; entry: Tree }>((tie) => ({
  entry: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('tree')),
  tree: fc.record({ kind: fc.constant('directory' as const), entries: fc.array(fc.tuple(name, tie('entry')), { maxLength: 5 }), mode, mtimeNs }),
}));

/** Makes the tree; names that are there already are left out. */
function plant(at: Buffer, { entries, mode: bits, mtimeNs: timeNs }: DirectoryTree, files: Buffer[]): void {
  for (const [each, entry] of entries) {
    const path = Buffer.concat([at, Buffer.from('/'), each]);
    if (fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    if (entry.kind === 'directory') {
      fs.mkdirSync(path);
      plant(path, entry, files);
      continue;
    }
    if (entry.kind === 'hardLink') {
      const first = files[entry.of % Math.max(1, files.length)];
      if (first !== undefined) fs.linkSync(first, path);
      continue;
    }
    if (entry.kind === 'file') {
      fs.writeFileSync(path, entry.content);
      files.push(path);
    } else if (entry.kind === 'fifo') makeFifo(path, entry.mode);
    else fs.symlinkSync(entry.to, path);
    if (entry.kind === 'file') fs.chmodSync(path, entry.mode);
    setEntryTimes(path, entry.mtimeNs);
  }
  fs.chmodSync(at, process.geteuid?.() === 0 ? bits : bits | 0o500);
  setEntryTimes(at, timeNs);
}

test('any tree comes back as it was, over nothing and over any other tree of the same names\' kinds', () => {
  fc.assert(
    fc.property(tree, tree, fc.constantFrom('always' as const, 'ifChanged' as const), (wanted, other, overwrite) => {
      const folder = makeFolder(memoryFolder());
      try {
        const source = join(folder, 'source');
        fs.mkdirSync(source);
        plant(Buffer.from(source), wanted, []);
        initRepository(join(folder, 'repository'));
        writeSnapshot(join(folder, 'repository'), source);
        const before = exactTree(source);
        const finished = new Restore(folder, { overwrite }).run();
        expect(exactTree(join(folder, 'target', source))).toEqual(before);
        expect([finished.failed, finished.skipped, finished.restored]).toEqual([0, 0, finished.entries]);

        // Over another tree: what fails is named, everything else is as recorded, and what is not in the snapshot stays.
        const target = join(folder, 'other', source);
        fs.mkdirSync(target, { recursive: true });
        plant(Buffer.from(target), other, []);
        const there = exactTree(target);
        const preview = new Restore(folder, { overwrite, target: join(folder, 'other') }).preview();
        const over = new Restore(folder, { overwrite, target: join(folder, 'other') }).run();
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
