import * as fs from 'node:fs';
import { join } from 'node:path';
import type { SnapshotEntry } from '../../src/storage/snapshot/entry';
import { orderKey } from '../../src/storage/snapshot/entry-order';
import { fromJsonPath } from '../../src/storage/path-bytes';
import { initRepository } from '../../src/storage/snapshot/repository';
import { exactTree } from '../helpers/exact-tree';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { forgeMetadata } from '../storage/restore/restore';
import { createWorkplace, jsonLines, onTestServer, type CommandEnd, type Workplace } from './run-command';

let place: Workplace;
let snapshot = '';

const repository = (): string => place.path('repository');
const source = (...names: string[]): string => place.path('source', ...names);
const restored = (...names: string[]): string => join(place.path('target'), source(...names));
const data = (...names: string[]): string => join(repository(), snapshot, 'data', source(...names));

beforeEach(() => {
  place = createWorkplace();
  initRepository(repository());
  fs.mkdirSync(source('sub'), { recursive: true });
  for (const name of ['a', 'b', 'sub/c']) fs.writeFileSync(source(name), `content of ${name}`);
  snapshot = writeSnapshot(repository(), source());
  fs.mkdirSync(place.path('outside'));
  fs.writeFileSync(place.path('outside', 'c'), 'secret');
});

afterEach(() => place.remove());

/** Somebody restores what somebody else has written; nothing but the target may change. */
async function restore(): Promise<CommandEnd> {
  const skip = ['target'];
  const before = exactTree(place.directory, { skip });
  const end = await place.run(['restore', 'repository', '--to', 'target', '--json', '--max-retries', '0'], { env: onTestServer() });
  expect(exactTree(place.directory, { skip })).toEqual(before);
  return end;
}

const inOrder = (entries: readonly SnapshotEntry[]): SnapshotEntry[] => entries.map((entry) => [orderKey(fromJsonPath(entry.path)), entry] as const).sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);

/** A further entry that is like that of the file `a`, but for its path. */
const planted = (path: string) => (entries: SnapshotEntry[]): SnapshotEntry[] => inOrder([...entries, ...entries.filter((entry) => entry.path === source('a')).map((entry) => ({ ...entry, path }))]);

test.each([
  ['a path that leads out of the target', () => planted(`${source('zz')}/../../../../outside/planted`)],
  ['a path below a link to outside', () => (entries: SnapshotEntry[]) => planted(`${source('sub')}/planted`)(entries.map((entry) => (entry.path === source('sub') ? ({ ...entry, type: 'symlink', linkTarget: place.path('outside') } as SnapshotEntry) : entry)))],
])('%s is refused before anything is written', async (_what, forge) => {
  forgeMetadata(repository(), snapshot, forge());
  const { code, stdout } = await restore();
  expect({ code, result: jsonLines(stdout).at(-1) }).toMatchObject({ code: 1, result: { messageType: 'result', success: false, errorCode: 'SnapshotDamaged', restoredEntries: 0 } });
  expect(fs.existsSync(place.path('target'))).toBe(false);
});

test('copies that are links to outside are not read', async () => {
  fs.rmSync(data('sub'), { recursive: true });
  fs.symlinkSync(place.path('outside'), data('sub'));
  fs.unlinkSync(data('a'));
  fs.symlinkSync(place.path('outside', 'c'), data('a'));
  const { code, stdout } = await restore();
  expect({ code, result: jsonLines(stdout).at(-1) }).toMatchObject({ code: 3, result: { failedEntries: 2, failuresByType: { SnapshotDamaged: 2 } } });
  expect(Object.keys(exactTree(restored()))).toEqual(['b', 'sub']);
});

test('links in the target that lead outside are not followed', async () => {
  fs.mkdirSync(restored(), { recursive: true });
  fs.symlinkSync(place.path('outside'), restored('sub'));
  fs.symlinkSync(place.path('outside', 'planted'), restored('a'));
  const { code, stdout } = await restore();
  expect(code).toBe(3);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ success: false, errorCode: null });
  expect(fs.readdirSync(place.path('outside'))).toEqual(['c']);
  expect(fs.readFileSync(restored('b'), 'utf8')).toBe('content of b');
});

/** Those that terminals act on, but for line breaks. */
function controlCharacters(text: string): string[] {
  return [...text].filter((character) => character !== '\n' && /\p{Cc}/u.test(character));
}

test('what is written in it reaches no terminal as it is', async () => {
  const evil = '\u001b]0;evil\u0007\u001b[2J\rname';
  forgeMetadata(repository(), snapshot, (entries) => inOrder(entries.map((entry) => (entry.path === source('a') ? { ...entry, path: source(evil) } : entry))), { host: evil, tags: [evil], sources: [`/${evil}`] });
  const ends = [];
  for (const args of [['snapshots', 'repository'], ['ls', '--long', 'repository'], ['check', 'repository'], ['prune', 'repository', '--keep-last', '1'], ['restore', 'repository', '--to', 'target', '--max-retries', '0'], ['restore', 'repository', '--to', 'target', '--dry-run']]) {
    ends.push(await place.run(args, { env: onTestServer() }));
  }
  expect(ends.flatMap(({ stdout, stderr }) => controlCharacters(`${stdout}${stderr}`))).toEqual([]);
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 1, 0, 3, 0]);
});
