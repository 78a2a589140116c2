import * as fs from 'node:fs';
import { join } from 'node:path';
import type { RetentionPolicy } from '../../src/core/retention';
import { TransferControl } from '../../src/storage/control';
import { pruneRepository, type PruneRequest, type PruneResult } from '../../src/storage/snapshot/prune-repository';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { contentOf, damage, useFolder } from '../helpers/files';
import { writeSnapshot, type FixtureOptions } from '../helpers/snapshot-fixture';

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
/** Of a file in a snapshot. */
const copy = (snapshot: string, ...names: string[]): string => join(repository(), snapshot, 'data', source(...names));

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  fs.writeFileSync(source('file'), contentOf(1, 1000));
  fs.writeFileSync(source('sub', 'other'), contentOf(2, 3000));
});

function snapshot(daysAgo: number, options: FixtureOptions = {}): string {
  return writeSnapshot(repository(), source(), { startedAt: new Date(Date.UTC(2026, 5, 30 - daysAgo, 12)), ...options });
}

function prune(policy: Partial<RetentionPolicy>, more: Partial<PruneRequest> = {}): PruneResult {
  return pruneRepository({ repository: repository(), policy: { tags: [], ...policy }, tags: [], sources: [], readData: false, dryRun: false, nowMs: Date.UTC(2026, 6, 1), ...more }, new TransferControl());
}

test.each<[string, (name: string) => void, string]>([
  ['its metadata is empty', (name) => fs.truncateSync(join(repository(), name, 'metadata.ndjson')), 'badRecord'],
  ['its metadata is gone', (name) => fs.unlinkSync(join(repository(), name, 'metadata.ndjson')), 'badRecord'],
  ['its data is gone', (name) => fs.rmSync(join(repository(), name, 'data'), { recursive: true }), 'missing'],
  ['one file is gone', (name) => fs.unlinkSync(copy(name, 'sub', 'other')), 'missing'],
  ['one file is cut', (name) => fs.truncateSync(copy(name, 'file'), 10), 'damaged'],
  ['a directory is a link by now', (name) => { fs.rmSync(copy(name, 'sub'), { recursive: true }); fs.symlinkSync(source('sub'), copy(name, 'sub')); }, 'wrongType'],
])('the newest snapshot counts for nothing and stays where %s, and a good one stays for it', (_what, ruin, kind) => {
  const [old, good, ruined] = [snapshot(3), snapshot(2), snapshot(1)];
  ruin(ruined);
  const result = prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual([good, ruined]);
  expect(result.groups).toMatchObject([{ keep: [{ name: good, reasons: ['last snapshot'] }, { name: ruined, reasons: ['damaged'] }], remove: [{ name: old }] }]);
  expect(result.damaged).toEqual([{ name: ruined, problem: expect.stringContaining(`${kind}: `) as string }]);
});

test('where several are damaged the newest sound one is found', () => {
  const names = [snapshot(5), snapshot(4), snapshot(3), snapshot(2), snapshot(1)];
  for (const name of names.slice(2)) fs.unlinkSync(copy(name, 'file'));
  prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual(names.slice(1));
});

test('where nothing is sound nothing goes, and the last one is not even looked at', () => {
  const names = [snapshot(3), snapshot(2), snapshot(1)];
  for (const name of names) fs.rmSync(join(repository(), name, 'data'), { recursive: true });
  expect(prune({ last: 1 })).toMatchObject({ removedSnapshots: 0, damaged: names.slice(1).map((name) => ({ name })).reverse() });
  expect(snapshotNames(repository())).toEqual(names);
});

test('a damaged snapshot of one host does not hold up the others, and a dry run says the same', () => {
  const elsewhere = [snapshot(4, { host: 'elsewhere' }), snapshot(3, { host: 'elsewhere' })];
  const [old, ruined] = [snapshot(2), snapshot(1)];
  fs.rmSync(join(repository(), ruined, 'data'), { recursive: true });
  const preview = prune({ last: 1 }, { dryRun: true });
  expect(snapshotNames(repository())).toHaveLength(4);
  expect(prune({ last: 1 }).groups).toEqual(preview.groups);
  expect(snapshotNames(repository())).toEqual([elsewhere[1], old, ruined]);
});

test('bytes are read on request alone', () => {
  const [old, ruined] = [snapshot(2), snapshot(1)];
  damage(copy(ruined, 'file'), 40);
  expect(prune({ last: 1 }, { dryRun: true }).groups).toMatchObject([{ keep: [{ name: ruined }], remove: [{ name: old }] }]);
  expect(prune({ last: 1 }, { readData: true }).damaged).toEqual([{ name: ruined, problem: expect.stringContaining('damaged: data') as string }]);
  expect(snapshotNames(repository())).toEqual([old, ruined]);
});

test('modes, times and what was put beside copies do not make a snapshot useless', () => {
  const [, touched] = [snapshot(2), snapshot(1)];
  fs.chmodSync(copy(touched, 'file'), 0o600);
  fs.writeFileSync(copy(touched, 'beside'), '');
  expect(prune({ last: 1 }).damaged).toEqual([]);
  expect(snapshotNames(repository())).toEqual([touched]);
});
