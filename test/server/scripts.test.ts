import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const project = resolve(__dirname, '..', '..');

const COMMAND = `#!/usr/bin/env node
process.stdout.write(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), isMain: require.main === module }));
`;

describe('installing and building', () => {
  let checkout: string;
  beforeAll(() => {
    checkout = createCheckout();
    expect(build()).toEqual({ status: 0, notes: 'Building…\n' });
  });
  afterAll(() => rmSync(checkout, { recursive: true, force: true }));

  const at = (...parts: string[]): string => join(checkout, ...parts);
  const environment = (changes: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ ...process.env, INIT_CWD: '', ...changes });

  function build(): { status: number | null; notes: string } {
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', buildCode()], { cwd: checkout, env: environment(), encoding: 'utf8' });
    return { status, notes: stderr };
  }

  function buildCode(): string {
    return `import { ensureInstalled, ensureBuilt } from ${JSON.stringify(at('scripts', 'setup.mjs'))}; ensureInstalled(); ensureBuilt();`;
  }

  test('a build compiles, bundles the workflows and makes the command executable', () => {
    expect(readFileSync(at('lib', 'workflow-bundle.js'), 'utf8')).toContain('aWorkflow');
    expect(statSync(at('lib', 'cli', 'main.js')).mode & 0o111).toBe(0o111);
    expect(readdirSync(at('lib')).filter((name) => name.startsWith('.'))).toEqual(['.build-stamp']);
  });

  test('nothing is done, and nothing said, while the sources are the same', () => {
    const before = statSync(at('lib', 'workflow-bundle.js')).mtimeMs;
    expect(build()).toEqual({ status: 0, notes: '' });
    expect(statSync(at('lib', 'workflow-bundle.js')).mtimeMs).toBe(before);
  });

  test('a changed source is built by one of two commands that start together, and what a removed one left goes away', async () => {
    writeFileSync(at('src', 'added.ts'), 'export const added = 1;\n');
    rmSync(at('src', 'removed.ts'));
    const children = [1, 2].map(() => spawn(process.execPath, ['--input-type=module', '-e', buildCode()], { cwd: checkout, env: environment(), stdio: ['ignore', 'ignore', 'pipe'] }));
    const notes = children.map(async (child) => {
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
      expect(await once(child, 'close')).toEqual([0, null]);
      return text;
    });
    expect((await Promise.all(notes)).join('')).toBe('Building…\n');
    expect(readdirSync(at('lib'))).toEqual(expect.arrayContaining(['added.js', 'workflow-bundle.js']));
    expect(readdirSync(at('lib'))).not.toContain('removed.js');
  });

  test('a build that fails says what the compiler said, and is tried again', () => {
    writeFileSync(at('src', 'wrong.ts'), 'export const wrong: number = "text";\n');
    const first = build();
    expect(first.status).not.toBe(0);
    expect(first.notes).toContain('src/wrong.ts');
    expect(build().status).not.toBe(0);
    rmSync(at('src', 'wrong.ts'));
    expect(build().status).toBe(0);
  });

  test.each([
    ['start.mjs', []],
    ['run.mjs', ['lib/cli/main.js']],
  ])('%s runs the command as the main module, where the caller is and with its arguments', (script, program) => {
    const caller = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-caller-')));
    try {
      const { stdout } = spawnSync(process.execPath, [at('scripts', script), ...program, 'file', 'a b'], { cwd: checkout, env: environment({ INIT_CWD: caller }), encoding: 'utf8' });
      expect(JSON.parse(stdout)).toEqual({ args: ['file', 'a b'], cwd: caller, isMain: true });
    } finally {
      rmSync(caller, { recursive: true });
    }
  });

  /** The project's scripts on sources of a few lines. */
  function createCheckout(): string {
    checkout = realpathSync(mkdtempSync(join(tmpdir(), 'file-backup-checkout-')));
    for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts']) cpSync(join(project, name), at(name), { recursive: true });
    symlinkSync(join(project, 'node_modules'), at('node_modules'));
    for (const folder of ['cli', 'workflows', 'proof', 'storage']) mkdirSync(at('src', folder), { recursive: true });
    writeFileSync(at('src', 'cli', 'main.ts'), COMMAND);
    writeFileSync(at('src', 'workflows', 'index.ts'), 'export async function aWorkflow(): Promise<void> {}\n');
    writeFileSync(at('src', 'workflows', 'proof.ts'), 'export const interceptors = () => ({});\n');
    writeFileSync(at('src', 'proof', 'payload-converter.ts'), "export { defaultPayloadConverter as payloadConverter } from '@temporalio/common';\n");
    writeFileSync(at('src', 'storage', 'thread.ts'), 'export function aThread(): void {}\n');
    writeFileSync(at('src', 'removed.ts'), 'export const removed = 1;\n');
    return checkout;
  }
});

describe('.ci/run', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'file-backup-ci-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs it with a stand-in for npm, which answers `npm test` and `npm run test:faults` so. */
  function run(test: string, faults: string): { status: number | null; lines: string[] } {
    const npm = join(folder, 'npm');
    writeFileSync(npm, `#!/bin/sh\nif [ "$1" = test ]; then ${test}; else ${faults}; fi\n`);
    chmodSync(npm, 0o755);
    const { status, stdout } = spawnSync('bash', [join(project, '.ci', 'run')], { env: { ...process.env, PATH: `${folder}:${process.env.PATH}` }, encoding: 'utf8' });
    return { status, lines: stdout.trimEnd().split('\n') };
  }

  test('closes with the sum of both suites', () => {
    const { status, lines } = run('echo "7 passed, 0 failed"', 'echo "2 passed, 0 failed, 3 skipped"');
    expect(lines.at(-1)).toBe('9 passed, 0 failed, 3 skipped');
    expect(status).toBe(0);
  });

  test('runs the second suite and fails when the first fails', () => {
    const { status, lines } = run('echo "7 passed, 1 failed"; exit 1', 'echo "2 passed, 0 failed"');
    expect(lines).toEqual(['7 passed, 1 failed', '2 passed, 0 failed', '9 passed, 1 failed']);
    expect(status).toBe(1);
  });

  test.each(['exit 1', 'true', 'echo "1 passed, 0 failed"; exit 1'])('counts a suite that ends without saying what failed (%s) as a failure', (faults) => {
    const { status, lines } = run('echo "7 passed, 0 failed"', faults);
    expect(lines.at(-1)).toMatch(/^[78] passed, 1 failed$/);
    expect(status).toBe(1);
  });
});
