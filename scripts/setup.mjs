// Brings a checkout into working order: dependencies as locked, and lib/ as built from src/. Uses nothing outside Node,
// since node_modules may not exist yet.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withFileLock } from './file-lock.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);

const INSTALL_STAMP = at('node_modules', '.install-stamp');
const BUILD_STAMP = at('lib', '.build-stamp');
const BUILD_INPUTS = ['src', 'tsconfig.json', 'package-lock.json', 'scripts/build.mjs'];

/** Installs the locked dependencies, unless they are installed already. */
export function ensureInstalled() {
  if (isInstalled()) return;
  withFileLock('install', root, () => {
    if (isInstalled()) return;
    console.error('Installing dependencies…');
    runQuietly(...npm('ci', '--include=dev', '--no-fund', '--no-audit'), npmEnvironment());
    writeFileSync(INSTALL_STAMP, lockHash());
  });
}

/** Builds lib/, unless it was built from exactly these sources. */
export function ensureBuilt() {
  if (isBuilt()) return;
  withFileLock('build', root, () => {
    if (isBuilt()) return;
    console.error('Building…');
    runQuietly(process.execPath, [at('scripts', 'build.mjs')], process.env);
  });
}

/** What the build depends on, as a text that changes with it. */
export function buildFingerprint() {
  return createHash('sha256').update(BUILD_INPUTS.flatMap(listing).join('\n')).digest('hex');
}

/** Marks lib/ as built from the sources that had this fingerprint before the build. */
export function markBuilt(fingerprint) {
  writeFileSync(BUILD_STAMP, fingerprint);
}

function isBuilt() {
  return existsSync(BUILD_STAMP) && readFileSync(BUILD_STAMP, 'utf8') === buildFingerprint();
}

function listing(path) {
  const stats = statSync(at(path));
  if (!stats.isDirectory()) return [`${path} ${stats.size} ${stats.mtimeMs}`];
  return readdirSync(at(path)).sort().flatMap((name) => listing(join(path, name)));
}

function isInstalled() {
  return (existsSync(INSTALL_STAMP) && readFileSync(INSTALL_STAMP, 'utf8') === lockHash()) || matchesLock();
}

function lockHash() {
  return createHash('sha256').update(readFileSync(at('package-lock.json'))).digest('hex');
}

/** Whether npm itself has installed what is locked; npm lists what it installed in a lock file of its own. */
function matchesLock() {
  const installedList = at('node_modules', '.package-lock.json');
  if (!existsSync(installedList)) return false;
  const installed = JSON.parse(readFileSync(installedList, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  // The project itself.
  delete locked[''];
  const isComplete = Object.entries(locked).every(([path, { version, optional, devOptional }]) => installed[path]?.version === version || ((optional || devOptional) && !installed[path]));
  return isComplete && Object.keys(installed).every((path) => path in locked);
}

/** The npm that runs this script where one does, else the one on PATH. */
function npm(...args) {
  const running = process.env.npm_execpath;
  return running?.endsWith('.js') ? [process.execPath, [running, ...args]] : ['npm', args];
}

/**
 * Without what an outer `npm start` says of itself: the inner npm would take that for its own settings. And without relative
 * entries of PATH, by which npm would run programs that lie in the folders of packages. `FILE_BACKUP_SETUP` tells scripts/prepare.mjs
 * that this is its own work.
 */
function npmEnvironment() {
  const kept = ['npm_execpath', 'npm_config_registry', 'npm_config_cache', 'npm_config_userconfig', 'npm_config_cafile', 'npm_config_proxy', 'npm_config_https_proxy', 'npm_config_noproxy'];
  const others = Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_') || kept.includes(name.toLowerCase()));
  return { ...Object.fromEntries(others), FILE_BACKUP_SETUP: 'install', PATH: (process.env.PATH ?? '').split(delimiter).filter((folder) => isAbsolute(folder)).join(delimiter) };
}

/** Shows what the command says only when it fails; on standard error, since standard output is the result's. */
function runQuietly(command, args, env) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  throw new SetupError(`${[command, ...args].join(' ')} failed: ${error?.message ?? signal ?? `exit code ${status}`}`);
}

/** The checkout cannot be brought into working order; the message is for the user. */
export class SetupError extends Error {}
