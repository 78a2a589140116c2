import * as fs from 'node:fs';
import { join } from 'node:path';
import { TransferControl } from '../../../src/storage/control';
import { pruneRepository } from '../../../src/storage/snapshot/prune-repository';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { findSnapshot, recordText, snapshotNames, type SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';
import { useFolder } from '../../helpers/files';
import { writeSnapshot, type FixtureOptions } from '../../helpers/snapshot-fixture';
import { SnapshotRun } from './snapshot-run';

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);

const FUTURE = new Date('2099-01-01T00:00:00Z');

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source());
  fs.writeFileSync(source('file'), 'content');
});

const at = (startedAt: Date | string, options: FixtureOptions = {}): string => writeSnapshot(repository(), source(), { startedAt: new Date(startedAt), ...options });

function prune(policy: object) {
  return pruneRepository({ repository: repository(), policy: { tags: [], ...policy }, tags: [], sources: [], readData: false, dryRun: false, nowMs: Date.parse('2026-06-01T12:00:00Z') }, new TransferControl());
}

test.each([{ last: 1 }, { daily: 1 }, { yearly: 1 }, { within: { years: 0, months: 0, days: 1, hours: 0 } }])('a snapshot of the future is counted for no rule, and stays: %j', (policy) => {
  const [old, newest, future] = [at('2026-05-01T00:00:00Z'), at('2026-05-31T00:00:00Z'), at(FUTURE)];
  expect(prune(policy).groups).toMatchObject([{ keep: [{ name: newest }, { name: future, reasons: ['dated in the future'] }], remove: [{ name: old }] }]);
  expect(snapshotNames(repository())).toEqual([newest, future]);
});

test('a group of nothing but the future is left as it is, and does not stop the others', () => {
  const future = at(FUTURE, { host: 'elsewhere' });
  const [, newest] = [at('2026-05-01T00:00:00Z'), at('2026-05-31T00:00:00Z')];
  prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual([newest, future]);
});

test('a complete snapshot of the future does not stand for the last complete one', () => {
  const [complete, partial, future] = [at('2026-05-01T00:00:00Z'), at('2026-05-31T00:00:00Z', { status: 'partial' }), at(FUTURE)];
  prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual([complete, partial, future]);
});

test('a host whose clock is some seconds ahead of this one has not written in the future', () => {
  const [, newest] = [at('2026-05-31T00:00:00Z'), at('2026-06-01T12:00:20Z')];
  prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual([newest]);
});

test('what is dated in the future is the latest only where nothing else is', () => {
  const future = at(FUTURE);
  expect(findSnapshot(repository(), 'latest')).toBe(future);
  const real = at('2026-05-31T00:00:00Z');
  expect(findSnapshot(repository(), 'latest')).toBe(real);
  expect(findSnapshot(repository(), '2099')).toBe(future);
});

test('what is dated in the future is the parent only where nothing else is', () => {
  const future = at(FUTURE);
  const first = new SnapshotRun(folder(), repository(), [source()]);
  expect(first.plan().parent).toBe(future);
  const real = at('2026-05-31T00:00:00Z');
  expect(new SnapshotRun(folder(), repository(), [source()]).plan().parent).toBe(real);
});

/** The same second for both, the later one with an id that sorts first. */
function twoOfOneSecond(): { earlier: string; later: string } {
  const write = (startedAt: string, id: string): string => {
    const written = at(startedAt);
    const name = `${written.slice(0, -8)}${id}`;
    fs.renameSync(join(repository(), written), join(repository(), name));
    const path = join(repository(), name, 'snapshot.json');
    const record = JSON.parse(fs.readFileSync(path, 'utf8')) as SnapshotRecord & { sha256?: string };
    delete record.sha256;
    fs.writeFileSync(path, recordText({ ...record, name, id }));
    return name;
  };
  return { earlier: write('2026-05-31T00:00:00.100Z', 'ffffffff'), later: write('2026-05-31T00:00:00.900Z', '00000000') };
}

test('of two snapshots of one second the later one is the latest, the parent and what a rule keeps', () => {
  const { earlier, later } = twoOfOneSecond();
  expect(snapshotNames(repository())).toEqual([earlier, later]);
  expect(findSnapshot(repository(), 'latest')).toBe(later);
  expect(new SnapshotRun(folder(), repository(), [source()]).plan().parent).toBe(later);
  prune({ last: 1 });
  expect(snapshotNames(repository())).toEqual([later]);
});
