// npm run test:nodes -- [versions] [-- jest arguments]: the suite on other versions of Node, by default on all that are promised.
// They come as npm packages, into a folder that is kept for the next time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { runJest, runSuite } from './suite.mjs';

/** The oldest that package.json allows, and each later line with long-term support. */
const VERSIONS = ['20.19', '22', '24'];

const [versions, args] = givenOf(process.argv.slice(2));
runSuite(versions.map((version) => [`tests on Node ${version}`, () => testOn(version)]));

function testOn(version) {
  const programs = programsOf(version);
  const node = join(programs, 'node');
  console.log(run(node, ['--version']));
  // Commands and workers that tests start take the version of the tests themselves, and scripts what is on PATH.
  return runJest('jest.config.cjs', args, { node, env: { ...process.env, PATH: [programs, process.env.PATH].join(delimiter) } });
}

/** The folder of a version's `node`, installed where it is not there yet. */
function programsOf(version) {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'temporal-file-backup', 'node', version);
  const programs = join(folder, 'node_modules', '.bin');
  if (!existsSync(join(programs, 'node'))) {
    mkdirSync(folder, { recursive: true });
    run('npm', ['install', '--prefix', folder, '--no-save', '--no-fund', '--no-audit', `node@${version}`]);
  }
  return programs;
}

function run(program, args) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} failed: ${error?.message ?? stderr}`);
  return stdout.trim();
}

function givenOf(args) {
  const end = args.indexOf('--');
  const versions = end < 0 ? args : args.slice(0, end);
  return [versions.length > 0 ? versions : VERSIONS, end < 0 ? [] : args.slice(end + 1)];
}
