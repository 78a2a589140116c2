import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { canSyncFileSystem, FileSystemSync } from '../../src/activities/file-system-sync';
import { SyncShell } from '../../src/activities/sync-shell';
import { hasMemoryFolder, makeFolder, memoryFolder, removeFolder, useFolder } from '../helpers/files';

const folder = useFolder();

/** Syncs that end when the test says so. */
function scripted() {
  const asked: { readonly directory: string; readonly end: (error?: Error) => void }[] = [];
  const syncs = new FileSystemSync(
    () => (directory) =>
      new Promise<void>((resolve, reject) => {
        asked.push({ directory, end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
  );
  return { asked, syncs };
}

const settled = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => 'synced',
    () => 'failed',
  );

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('whoever comes while a sync runs shares the next one', async () => {
  const { asked, syncs } = scripted();
  const first = syncs.request(folder());
  const others = [syncs.request(folder()), syncs.request(folder())];
  await turn();
  expect(asked).toHaveLength(1);
  asked[0]?.end();
  await first;
  await turn();
  expect(asked).toHaveLength(2);
  asked[1]?.end();
  await Promise.all(others);
  expect(asked).toHaveLength(2);
});

test('a failure is also that of those who were still writing, and not of those who begin after it', async () => {
  const { asked, syncs } = scripted();
  const writing = [syncs.since(folder()), syncs.since(folder())];
  const first = writing[0]!();
  await turn();
  asked[0]?.end(new Error('EIO'));
  expect(await settled(first)).toBe('failed');
  expect(await settled(writing[1]!())).toBe('failed');
  expect(asked).toHaveLength(1);
  const later = syncs.since(folder())();
  await turn();
  asked[1]?.end();
  expect(await settled(later)).toBe('synced');
});

test('a failure while one waits for the next sync is its own too', async () => {
  const { asked, syncs } = scripted();
  const [first, second] = [syncs.since(folder())(), syncs.since(folder())()];
  await turn();
  asked[0]?.end(new Error('EIO'));
  expect(await Promise.all([settled(first), settled(second)])).toEqual(['failed', 'failed']);
});

(hasMemoryFolder() ? test : test.skip)('one file system never takes the sync of another one for its own', async () => {
  const memory = makeFolder(memoryFolder());
  try {
    const { asked, syncs } = scripted();
    const requests = [syncs.request(folder()), syncs.request(folder()), syncs.request(memory)];
    await turn();
    expect(asked.map(({ directory }) => directory)).toEqual([folder(), memory]);
    asked.forEach(({ end }) => end());
    await turn();
    asked.at(-1)?.end();
    await Promise.all(requests);
  } finally {
    removeFolder(memory);
  }
});

describe('the shell that syncs', () => {
  test('syncs directories one after the other, whatever their names are', async () => {
    const directory = join(folder(), ' -f "two  words" $HOME');
    mkdirSync(directory);
    const syncs = new FileSystemSync();
    await syncs.request(directory);
    await syncs.request(folder());
  });

  test('a sync that fails is told with what it said, and the next one works', async () => {
    const syncs = new FileSystemSync(() => {
      const shell = new SyncShell();
      return (directory) => shell.sync(directory.replace('missing', 'missing/below'));
    });
    const missing = join(folder(), 'missing');
    mkdirSync(missing);
    await expect(syncs.request(missing)).rejects.toThrow(/missing\/below/);
    await syncs.request(folder());
  });
});

test('one sync for all is trusted on the destination\'s own file system, and not where that is unknown', () => {
  const named = join(folder(), 'two\nlines');
  mkdirSync(named);
  expect(canSyncFileSystem(named)).toBe(false);
  expect(canSyncFileSystem(join(folder(), 'missing'))).toBe(false);
  if (hasMemoryFolder()) expect(canSyncFileSystem(memoryFolder())).toBe(false);
});
