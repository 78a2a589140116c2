import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../src/storage/control';
import { copyContent } from '../../src/storage/copy';
import { inspectFile } from '../../src/storage/inspect-file';
import { initRepository } from '../../src/storage/snapshot/repository';
import { check } from '../helpers/check';
import { useFolder } from '../helpers/files';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';
import { Run } from './batch/run';
import { codeOf, Operation } from './operation';
import { withPatched } from './patched-fs';
import { Restore } from './restore/restore';
import { SnapshotRun } from './snapshot/snapshot-run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const MiB = 1024 * 1024;
const BLOCK_BYTES = 512;
const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

interface Piece {
  readonly at: number;
  readonly sizeBytes: number;
}

/** A file with data at some places and holes everywhere else. */
function writeSparse(file: string, sizeBytes: number, pieces: readonly Piece[]): void {
  const descriptor = fs.openSync(file, 'wx');
  try {
    for (const { at, sizeBytes: length } of pieces) fs.writeSync(descriptor, Buffer.alloc(length, `data at ${at}`), 0, length, at);
    fs.ftruncateSync(descriptor, sizeBytes);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

const digestOf = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');
const spaceOf = (file: string): number => fs.statSync(file).blocks * BLOCK_BYTES;

/** The same bytes, in no more space than the source and a block at each end of its pieces. */
function expectSparse(copy: string, source = path('source', 'sparse'), pieces = 3): void {
  expect([fs.statSync(copy).size, digestOf(copy)]).toEqual([fs.statSync(source).size, digestOf(source)]);
  expect(spaceOf(copy)).toBeLessThanOrEqual(spaceOf(source) + pieces * 8192);
  expect(spaceOf(copy)).toBeLessThan(fs.statSync(source).size / 10);
}

beforeEach(() => {
  fs.mkdirSync(path('source'));
  writeSparse(path('source', 'sparse'), 64 * MiB, [{ at: 10 * MiB + 5, sizeBytes: 100_000 }, { at: 40 * MiB, sizeBytes: 1 }]);
});

describe('holes stay holes', () => {
  test('in a file', () => {
    const operation = new Operation(folder(), path('source', 'sparse'), path('target'));
    operation.prepare();
    const staged = operation.stage();
    expect(staged).toMatchObject({ sizeBytes: 64 * MiB, sha256: digestOf(path('source', 'sparse')) });
    expectSparse(operation.stagedPath);
  });

  test('in a batch', () => {
    fs.mkdirSync(path('backups'));
    const run = new Run(folder(), false);
    run.plan([path('source', 'sparse')]);
    expect(run.run()).toMatchObject({ counts: { backedUp: 1 }, verifiedFrom: 'cache' });
    expectSparse(path('backups', 'sparse.backup'));
  });

  test('in a snapshot and what is restored from it', async () => {
    initRepository(path('repository'));
    const run = new SnapshotRun(folder(), path('repository'), [path('source')]);
    expect(run.take()).toMatchObject({ status: 'complete', notKept: [] });
    expectSparse(join(run.data, path('source', 'sparse')));
    expect(new Restore(folder()).run()).toMatchObject({ failed: 0 });
    expectSparse(join(path('target'), path('source', 'sparse')));
    expect((await check(path('repository'))).problems).toEqual([]);
  });
});

test('files of any pieces and holes are copied byte for byte, whatever their edges', () => {
  const seed = chooseSeed();
  const random = new SeededRandom(seed);
  for (let round = 0; round < 40; round += 1) {
    const sizeBytes = 1 + random.whole(0, 6 * MiB);
    const pieces = Array.from({ length: random.whole(0, 5) }, () => {
      const at = random.whole(0, sizeBytes);
      return { at, sizeBytes: Math.min(sizeBytes - at, 1 + random.whole(0, MiB)) };
    });
    const [source, copy] = [path(`source-${round}`), path(`copy-${round}`)];
    writeSparse(source, sizeBytes, pieces);
    const [from, to] = [fs.openSync(source, 'r'), fs.openSync(copy, 'wx')];
    const control = new TransferControl();
    const copied = copyContent(to, { descriptor: from, stats: fs.fstatSync(from, { bigint: true }) }, { sourcePath: source, targetPath: copy, onSourceChanged: 'fail', control, sync: false });
    [from, to].forEach((descriptor) => fs.closeSync(descriptor));
    const expected = digestOf(source);
    expect([describeSeed(seed), round, copied.sha256, digestOf(copy), copied.sizeBytes, control.movedBytes]).toEqual([describeSeed(seed), round, expected, expected, sizeBytes, sizeBytes]);
    expect(spaceOf(copy)).toBeLessThanOrEqual(spaceOf(source) + pieces.length * 8192);
  }
});

test.each([
  ['grows', (file: string) => fs.appendFileSync(file, 'more')],
  ['gets data where a hole was', (file: string) => {
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, 'data', 50 * MiB);
    fs.closeSync(descriptor);
  }],
  ['is cut within a hole', (file: string) => fs.truncateSync(file, 60 * MiB)],
])('a file with holes that %s while it is read is no good copy', (_how, change) => {
  const operation = new Operation(folder(), path('source', 'sparse'), path('target'));
  operation.prepare();
  let reads = 0;
  const code = codeOf(() =>
    withPatched('readSync', (_args, proceed) => {
      if ((reads += 1) === 1) change(path('source', 'sparse'));
      return proceed();
    }, () => operation.stage()),
  );
  expect(code).toBe('SourceChanged');
});

test('a file that fits because of its holes is not refused for its size', () => {
  const pair = { sourceRoot: folder(), sourcePath: path('source', 'sparse'), targetRoot: folder(), targetPath: path('target') };
  const free = (bytes: bigint, calls: () => unknown): unknown => withPatched('statfsSync', ([, options], proceed) => ((options as object | undefined) === undefined ? proceed() : { bavail: bytes, bsize: 1n, blocks: 1000n }), calls);
  expect(free(BigInt(MiB), () => inspectFile(pair))).toMatchObject({ source: { sizeBytes: 64 * MiB } });
  expect(codeOf(() => free(1000n, () => inspectFile(pair)))).toBe('NoSpace');
});
