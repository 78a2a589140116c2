// What the test scripts share: run each check, see all of them, close with one line of counts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from './setup.mjs';

/** Installs, builds, runs every check, prints the closing line and sets the exit code. A check returns its counts. */
export function runSuite(checks) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const [title, check] of [['setup', setUp], ...checks]) {
    console.log(`\n> ${title}`);
    const counts = countsOf(title, check);
    for (const key of Object.keys(total)) total[key] += counts[key] ?? 0;
    if (title === 'setup' && counts.failed) break;
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  process.exitCode = total.failed > 0 ? 1 : 0;
  console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
}

/** A program of node_modules as one check that passes or fails. */
export function runTool(program, args) {
  const { status } = runNode([inModules(program), ...args]);
  return status === 0 ? { passed: 1 } : { failed: 1 };
}

/** A jest run, counted by its own report; by another Node where one is given. */
export function runJest(config, args, by = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'file-backup-report-'));
  const report = join(folder, 'report.json');
  try {
    const { status } = runNode([inModules('jest/bin/jest.js'), '--config', config, '--json', '--outputFile', report, ...args], by);
    return jestCounts(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined, status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function setUp() {
  ensureInstalled();
  ensureBuilt();
  return {};
}

function countsOf(title, check) {
  try {
    return check();
  } catch (error) {
    console.error(`${title}: ${error.stack}`);
    return { failed: 1 };
  }
}

/** Besides failed tests, a run fails by files that cannot be loaded and by ends that no report counts. */
function jestCounts(report, status) {
  if (!report) return { failed: 1 };
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return {
    passed: report.numPassedTests,
    failed: status === 0 ? failed : Math.max(1, failed),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** By its path: packages do not export their programs as modules. */
function inModules(path) {
  return join(root, 'node_modules', path);
}

function runNode(args, { node = process.execPath, env = process.env } = {}) {
  return spawnSync(node, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
}
