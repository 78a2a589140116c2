import { chmodSync, chownSync, existsSync, lchownSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resolveTemporalBinary, type TemporalBinary } from '../../src/server/binary';
import type { Download } from '../../src/server/download';
import { NoTemporalServerError } from '../../src/server/errors';
import { prepareStateFiles, requireTrustedState } from '../../src/server/state-files';
import { whyNotTrusted } from '../../src/server/trusted-path';
import { isRoot, useFolder } from '../helpers/files';
import { createState } from './state-harness';

const OTHER = 12_345;
const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const asRoot = isRoot ? test : test.skip;
const mode = (file: string): string => (lstatSync(file).mode & 0o7777).toString(8);

/** A stand-in for the Temporal CLI, which notes that it was started. */
function program(file: string): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho started >>"$0.starts"\necho "--db-filename --sqlite-pragma --search-attribute --http-port --ui-port --ip"\n`, { mode: 0o755 });
  return file;
}

describe('a path that nobody else can exchange', () => {
  test.each<[string, () => string]>([
    ['a file of one\'s own', () => program(path('program'))],
    ['a file in a sticky directory', () => (mkdirSync(path('sticky')), chmodSync(path('sticky'), 0o1777), program(path('sticky', 'program')))],
    ['a link to such a file', () => (symlinkSync('program', path('link')), program(path('program')), path('link'))],
    ['a path whose end is not there yet', () => path('not', 'there')],
    ['a program of the system', () => '/bin/sh'],
  ])('%s', (_title, make) => {
    expect(whyNotTrusted(make())).toBeUndefined();
  });

  asRoot.each<[string, () => string, string]>([
    ['a file of another user', () => (chownSync(program(path('program')), OTHER, OTHER), path('program')), 'it belongs to another user'],
    ['a file that others may write to', () => (chmodSync(program(path('program')), 0o757), path('program')), 'others may write to it'],
    ['a file in a directory of another user', () => (program(path('dir', 'program')), chownSync(path('dir'), OTHER, OTHER), path('dir', 'program')), 'it belongs to another user'],
    ['a file in a directory that others may write to', () => (program(path('dir', 'program')), chmodSync(path('dir'), 0o777), path('dir', 'program')), 'others may write to it'],
    ['a file in a directory that a group may write to', () => (program(path('dir', 'program')), chmodSync(path('dir'), 0o775), path('dir', 'program')), 'others may write to it'],
    ['a file two levels below a directory of another user', () => (program(path('dir', 'sub', 'program')), chownSync(path('dir'), OTHER, OTHER), path('dir', 'sub', 'program')), 'it belongs to another user'],
    ['a link of another user in a sticky directory', () => (program(path('program')), mkdirSync(path('sticky')), chmodSync(path('sticky'), 0o1777), symlinkSync(path('program'), path('sticky', 'link')), lchownSync(path('sticky', 'link'), OTHER, OTHER), path('sticky', 'link')), 'it belongs to another user'],
    ['a link that leads through a directory of another user', () => (program(path('dir', 'program')), chownSync(path('dir'), OTHER, OTHER), symlinkSync(path('dir', 'program'), path('link')), path('link')), 'it belongs to another user'],
    ['a path that is not there yet, below a directory of another user', () => (mkdirSync(path('dir')), chownSync(path('dir'), OTHER, OTHER), path('dir', 'not', 'there')), 'it belongs to another user'],
  ])('is not: %s', (_title, make, reason) => {
    expect(whyNotTrusted(make())).toMatch(new RegExp(`has owner and mode \\d+:\\d+ \\d{4}: ${reason}$`));
  });
});

describe('a state directory is refused, with the way out, and nothing is written in it,', () => {
  const state = (): string => path('state');
  asRoot.each<[string, () => void]>([
    ['that another user owns', () => (mkdirSync(state()), chownSync(state(), OTHER, OTHER))],
    ['that everybody may write to', () => (mkdirSync(state()), chmodSync(state(), 0o777))],
    ['that is sticky, and everybody may write to', () => (mkdirSync(state()), chmodSync(state(), 0o1777))],
    ['that a group may write to', () => (mkdirSync(state()), chmodSync(state(), 0o770))],
    ['below a directory of another user', () => (mkdirSync(path('home')), chownSync(path('home'), OTHER, OTHER), mkdirSync(path('home', 'state')), symlinkSync(path('home', 'state'), state()))],
    ['that another user has made a link to somewhere else', () => (mkdirSync(path('elsewhere')), symlinkSync(path('elsewhere'), state()), lchownSync(state(), OTHER, OTHER))],
  ])('%s', (_title, make) => {
    make();
    const before = [mode(state()), readdirSync(state())];
    for (const use of [prepareStateFiles, requireTrustedState]) {
      expect(() => use(state())).toThrow(NoTemporalServerError);
      expect(() => use(state())).toThrow(/has owner and mode .*chown.*FILE_BACKUP_STATE_DIR/);
    }
    expect([mode(state()), readdirSync(state())]).toEqual(before);
  });

  asRoot('with a record in it that another user has planted', () => {
    mkdirSync(state(), { mode: 0o700 });
    writeFileSync(join(state(), 'server.json'), '{}');
    chownSync(join(state(), 'server.json'), OTHER, OTHER);
    expect(() => prepareStateFiles(state())).toThrow(/server\.json has owner and mode 12345:12345 0644: it belongs to another user/);
  });
});

test('what lies in the state directory is closed to others, whatever made it', () => {
  mkdirSync(path('state', 'users'), { recursive: true });
  const names = ['server.json', 'server.log', 'server.log.old', 'temporal.db', 'temporal.db-wal', 'temporal.db-shm'];
  for (const name of names) {
    writeFileSync(path('state', name), '');
    chmodSync(path('state', name), 0o644);
  }
  chmodSync(path('state', 'users'), 0o755);
  prepareStateFiles(path('state'));
  expect([mode(path('state')), mode(path('state', 'users')), ...names.map((name) => mode(path('state', name)))]).toEqual(['700', '700', ...names.map(() => '600')]);
});

test('what the server makes is closed to others, whatever the umask', async () => {
  const state = createState();
  const umask = process.umask(0);
  try {
    await state.acquire();
    const modes = Object.fromEntries(readdirSync(state.directory).map((name) => [name, mode(state.path(name))]));
    expect(modes).toMatchObject({ 'temporal.db': '600', 'temporal.db-wal': '600', 'temporal.db-shm': '600', 'server.log': '600', 'server.json': '600', users: '700' });
    expect(readdirSync(state.path('users')).map((name) => mode(state.path(join('users', name))))).toEqual(['600']);
    expect(process.umask()).toBe(0);
  } finally {
    process.umask(umask);
    await state.cleanUp();
  }
});

describe('the Temporal CLI in the cache', () => {
  const bin = (): string => path('cache', 'bin');
  const record = (): string => path('cache', readdirSync(path('cache')).find((name) => name.endsWith('.digest.json')) ?? 'none');
  const download: Download = { origin: 'sdkDownload', title: 'fake download', fetch: (into) => Promise.resolve(program(join(into, 'brought'))) };
  const resolve = (env: NodeJS.ProcessEnv = {}, downloads = [download]): Promise<TemporalBinary> => resolveTemporalBinary({ cacheDirectory: path('cache'), env: { PATH: '/usr/bin:/bin', ...env }, downloads });

  asRoot.each<[string, () => void]>([
    ['that another user owns', () => chownSync(join(bin(), readdirSync(bin())[0] ?? ''), OTHER, OTHER)],
    ['that others may write to', () => chmodSync(join(bin(), readdirSync(bin())[0] ?? ''), 0o777)],
    ['in a directory that another user owns', () => chownSync(bin(), OTHER, OTHER)],
    ['in a directory that others may write to', () => chmodSync(bin(), 0o777)],
    ['below a directory that another user owns', () => chownSync(path('cache'), OTHER, OTHER)],
  ])('%s is refused, with the way out', async (_title, harm) => {
    await resolve();
    harm();
    await expect(resolve()).rejects.toThrow(NoTemporalServerError);
    await expect(resolve()).rejects.toThrow(/could exchange what is in it: .* has owner and mode .*FILE_BACKUP_CACHE_DIR/);
  });

  asRoot('is not fetched into a directory that another user could exchange it in', async () => {
    mkdirSync(bin(), { recursive: true });
    chownSync(bin(), OTHER, OTHER);
    const fetch = jest.fn((into: string) => Promise.resolve(program(join(into, 'brought'))));
    await expect(resolve({}, [{ ...download, fetch }])).rejects.toThrow(/could exchange what is in it/);
    expect([fetch.mock.calls.length, readdirSync(bin())]).toEqual([0, []]);
  });

  test('that was exchanged for another of the same size and time is refused, and taken again once it is removed', async () => {
    const { path: cached } = await resolve();
    const { atime, mtime } = statSync(cached);
    const content = readFileSync(cached, 'latin1');
    writeFileSync(cached, content.replace('started', 'STARTED'));
    utimesSync(cached, atime, mtime);
    await expect(resolve()).rejects.toThrow(/is not what was installed there: .* has another digest than .*Remove both/);
    rmSync(cached);
    rmSync(record());
    await expect(resolve()).resolves.toMatchObject({ path: cached, origin: 'sdkDownload' });
  });

  test('that was exchanged for another file is refused', async () => {
    const { path: cached } = await resolve();
    renameSync(program(path('other')), cached);
    writeFileSync(cached, '#!/bin/sh\ntrue\n');
    await expect(resolve()).rejects.toThrow(/has another digest/);
  });

  test('is read again only when its file has changed', async () => {
    const { path: cached } = await resolve();
    const first = readFileSync(record(), 'utf8');
    const { mtimeNs } = statSync(record(), { bigint: true });
    await resolve();
    expect(statSync(record(), { bigint: true }).mtimeNs).toBe(mtimeNs);
    chmodSync(cached, 0o700);
    await resolve();
    expect(readFileSync(record(), 'utf8')).not.toBe(first);
    expect(JSON.parse(readFileSync(record(), 'utf8'))).toMatchObject({ sha256: (JSON.parse(first) as { sha256: string }).sha256 });
  });

  test('that an earlier version has installed is known from its first use on', async () => {
    const { path: cached } = await resolve();
    rmSync(record());
    await expect(resolve()).resolves.toMatchObject({ origin: 'cache' });
    writeFileSync(cached, 'other');
    await expect(resolve()).rejects.toThrow(/has another digest/);
  });

  asRoot('that is named or on PATH is judged likewise, before it is started', async () => {
    const named = program(path('bin of another', 'temporal'));
    chownSync(dirname(named), OTHER, OTHER);
    await expect(resolve({ TEMPORAL_CLI_PATH: named })).rejects.toThrow(/TEMPORAL_CLI_PATH names .*, which somebody else could exchange: .* it belongs to another user/);
    await expect(resolve({ PATH: `${dirname(named)}:/usr/bin:/bin` })).resolves.toMatchObject({ origin: 'sdkDownload' });
    expect(existsSync(`${named}.starts`)).toBe(false);
    const error: unknown = await resolve({ PATH: `${dirname(named)}:/usr/bin:/bin`, FILE_BACKUP_CACHE_DIR: '' }, []).catch((reason: unknown) => reason);
    expect(error).not.toBeInstanceOf(NoTemporalServerError);
  });
});
