import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { absoluteEntries } from '../../src/core/search-path';
import { findOnPath } from '../../src/server/path-binary';
import { wheelDownload } from '../../src/server/python-wheel';
import { useFolder } from '../helpers/files';

const project = resolve(__dirname, '..', '..');
const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const marker = (): string => path('run by mistake');
const before = { directory: process.cwd(), PATH: process.env.PATH };

/** A working directory as somebody else has prepared it, and a PATH that leads into it. */
beforeEach(() => {
  mkdirSync(path('hostile', 'node_modules', '.bin'), { recursive: true });
  for (const name of ['sh', 'sync', 'ps', 'python3', 'temporal', 'npm', 'node', 'node_modules/.bin/npm']) writeFileSync(path('hostile', name), `#!/bin/sh\necho ${name} >>'${marker()}'\n`, { mode: 0o755 });
  for (const name of ['pip', 'zipfile', 'sitecustomize', 'usercustomize', 'encodings', 'runpy', 'os']) writeFileSync(path('hostile', `${name}.py`), `open(${JSON.stringify(marker())}, 'a').write('${name}\\n')\n`);
  writeFileSync(path('hostile', '.npmrc'), `script-shell=${path('hostile', 'sh')}\nnode-options=--require ${path('hostile', 'hook.cjs')}\n`);
  writeFileSync(path('hostile', 'hook.cjs'), `require('fs').appendFileSync(${JSON.stringify(marker())}, 'hook')`);
  process.chdir(path('hostile'));
  process.env.PATH = ['.', '', 'node_modules/.bin', before.PATH].join(delimiter);
});
afterEach(() => {
  process.chdir(before.directory);
  process.env.PATH = before.PATH;
});

const expectNothingRun = (): void => expect(existsSync(marker()) ? readFileSync(marker(), 'utf8') : 'nothing').toBe('nothing');

test('a module of the working directory, or of PYTHONPATH, never takes the place of pip', async () => {
  mkdirSync(path('into'));
  mkdirSync(path('requirements'));
  writeFileSync(path('requirements', 'none.txt'), `no-such-package==1.0 --hash=sha256:${'0'.repeat(64)}\n`);
  const env = { ...process.env, PYTHONPATH: path('hostile'), PYTHONUSERBASE: path('hostile'), PYTHONSTARTUP: path('hostile', 'pip.py'), PIP_NO_INDEX: '1', PIP_CONFIG_FILE: '/dev/null' };
  // Pip itself says that: it was run.
  await expect(wheelDownload('none', 'none.txt', path('requirements')).fetch(path('into'), env)).rejects.toThrow('No matching distribution found for no-such-package');
  expectNothingRun();
});

test('neither a shell nor a sync of the working directory makes a file system durable', () => {
  // A process of its own: it takes PATH as it is when it starts.
  const code = `const { SyncShell } = require(${JSON.stringify(join(project, 'lib', 'activities', 'sync-shell.js'))}); new SyncShell().sync(${JSON.stringify(folder())});`;
  const { status } = spawnSync(process.execPath, ['-e', code], { env: { PATH: process.env.PATH }, cwd: path('hostile'), timeout: 20_000 });
  expect(status).toBe(0);
  expectNothingRun();
});

test('a Temporal CLI is not looked for in the working directory', async () => {
  await expect(findOnPath(['.', '', 'node_modules/.bin'].join(delimiter), path('cache'), () => undefined)).resolves.toEqual({ reason: 'not found' });
  expectNothingRun();
});

test('entries of PATH that depend on the working directory are left out, and so are repeated ones', () => {
  expect(absoluteEntries(':.:/usr/bin::bin:../bin:/bin:/usr/bin:~/bin')).toEqual(['/usr/bin', '/bin']);
});

test('npm installs in the project, with its configuration alone, and finds no program by a relative entry of PATH', () => {
  const checkout = path('checkout');
  mkdirSync(checkout);
  for (const name of ['setup.mjs', 'file-lock.mjs']) cpSync(join(project, 'scripts', name), join(checkout, 'scripts', name));
  writeFileSync(join(checkout, 'package-lock.json'), '{"packages":{"":{},"node_modules/some":{"version":"1.0.0"}}}');
  mkdirSync(path('bin'));
  writeFileSync(path('bin', 'npm'), `#!/bin/sh\nmkdir -p node_modules\npwd >'${path('pwd')}'\necho "$PATH" >'${path('path')}'\n`, { mode: 0o755 });
  const code = `import { ensureInstalled } from ${JSON.stringify(join(checkout, 'scripts', 'setup.mjs'))}; ensureInstalled();`;
  const PATH = ['.', '', 'node_modules/.bin', path('bin'), '/usr/bin', '/bin', dirname(process.execPath)].join(delimiter);
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { env: { PATH, HOME: folder() }, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: 'Installing dependencies…\n' });
  expect(readFileSync(path('pwd'), 'utf8').trim()).toBe(checkout);
  expect(readFileSync(path('path'), 'utf8').trim().split(delimiter)).toEqual([path('bin'), '/usr/bin', '/bin', dirname(process.execPath)]);
  expectNothingRun();
});

test('a command in such a directory runs nothing of it', () => {
  writeFileSync(path('hostile', 'file'), 'content');
  const PATH = ['.', '', 'node_modules/.bin', before.PATH].join(delimiter);
  const env = { PATH, HOME: folder(), FILE_BACKUP_STATE_DIR: path('state'), TEMPORAL_ADDRESS: process.env.TEST_TEMPORAL_ADDRESS };
  const { status, stdout } = spawnSync(process.execPath, [join(project, 'lib', 'cli', 'main.js'), 'batch', 'file', '--to', path('backups'), '--json'], { env, cwd: path('hostile'), encoding: 'utf8', timeout: 40_000, killSignal: 'SIGKILL' });
  expect({ status, copies: readdirSync(path('backups')) }).toEqual({ status: 0, copies: ['.file-backup', 'file.backup'] });
  expect(stdout).toContain('"successfulFiles":1');
  expectNothingRun();
});
