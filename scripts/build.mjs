// Builds lib/: the compiled sources, the workflow bundle, and one file with all that a pool thread loads. Every file appears as a whole, so that a command which
// runs meanwhile reads the old file or the new one; the stamp comes last, so that an interrupted build is done again.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import webpack from 'webpack';
import { buildFingerprint, markBuilt, root } from './setup.mjs';

const require = createRequire(import.meta.url);
const lib = join(root, 'lib');
const COMMAND = join('cli', 'main.js');
const BUNDLE = 'workflow-bundle.js';
const THREAD_BUNDLE = 'thread-bundle.js';
const bundles = [BUNDLE, THREAD_BUNDLE];

const fingerprint = buildFingerprint();
mkdirSync(lib, { recursive: true });
removeAbandoned();
const fresh = mkdtempSync(join(lib, `.build-${process.pid}-`));
try {
  if (compile(fresh)) await publish();
  else process.exitCode = 1;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

async function publish() {
  const files = filesIn(fresh);
  files.forEach(moveIntoPlace);
  removeStale(files);
  await bundle();
  await bundleThread();
  markBuilt(fingerprint);
}

/** Whether the sources compile; the compiler itself says why not. */
function compile(directory) {
  const compiler = require.resolve('typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.json'), '--outDir', directory, '--incremental', 'false', '--tsBuildInfoFile', 'null'], {
    cwd: root,
    stdio: 'inherit',
  });
  const command = join(directory, COMMAND);
  if (existsSync(command)) chmodSync(command, 0o755);
  return status === 0;
}

function moveIntoPlace(file) {
  const target = join(lib, file);
  mkdirSync(dirname(target), { recursive: true });
  renameSync(join(fresh, file), target);
}

/** Removes what sources that are gone left behind. */
function removeStale(files) {
  const current = new Set(files);
  for (const file of filesIn(lib)) {
    if (!file.startsWith('.') && !bundles.includes(file) && !current.has(file)) rmSync(join(lib, file));
  }
}

async function bundle() {
  const { bundleWorkflowCode, DefaultLogger } = require('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(lib, 'workflows', 'index.js'),
    workflowInterceptorModules: [join(lib, 'workflows', 'proof.js')],
    payloadConverterPath: join(lib, 'proof', 'payload-converter.js'),
    logger: new DefaultLogger('WARN', ({ level, message }) => console.error(`${level} ${message}`)),
  });
  writeFileSync(join(fresh, BUNDLE), code);
  moveIntoPlace(BUNDLE);
}

/** A thread that loads one file starts in half of the time that it takes to find and read 160 of them. */
async function bundleThread() {
  const stats = await promisify(webpack)({
    mode: 'none',
    target: 'node20',
    entry: join(lib, 'storage', 'thread.js'),
    output: { path: fresh, filename: THREAD_BUNDLE, library: { type: 'commonjs2' } },
    // Packages stay what they are: one of them is compiled for the machine.
    externals: [({ request }, decide) => (/^[./]/.test(request) ? decide() : decide(null, `commonjs ${request}`))],
    devtool: false,
  });
  if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString({ all: false, errors: true, warnings: true }));
  moveIntoPlace(THREAD_BUNDLE);
}

/** Removes the folders of builds that were killed. */
function removeAbandoned() {
  for (const name of readdirSync(lib)) {
    const pid = /^\.build-(\d+)-/.exec(name)?.[1];
    if (pid && !isRunning(Number(pid))) rmSync(join(lib, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function filesIn(directory) {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(directory.length + 1));
}
