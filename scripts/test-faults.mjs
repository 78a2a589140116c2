// npm run test:faults -- [jest arguments]: real crashes and real damage, with the system's own tools.
import { spawnSync } from 'node:child_process';
import { runJest, runSuite } from './suite.mjs';

/** Program → the system package that brings it. */
const TOOLS = { strace: 'strace' };

runSuite([
  ['system tools', () => provideTools()],
  ['fault tests', () => runJest('jest.faults.config.cjs', process.argv.slice(2))],
]);

/** Installs what is missing where that is possible without asking, and says what will be skipped otherwise. */
function provideTools() {
  const missing = Object.keys(TOOLS).filter((tool) => !isPresent(tool));
  if (missing.length > 0 && process.getuid?.() === 0 && isPresent('apt-get')) {
    console.log(`Installing ${missing.join(', ')}…`);
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...missing.map((tool) => TOOLS[tool]));
  }
  for (const tool of missing.filter((name) => !isPresent(name))) {
    console.log(`${tool} is missing: the tests that need it are skipped. Install it with the system's package manager.`);
  }
  return {};
}

function isPresent(program) {
  return spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0;
}

function apt(...args) {
  const { status, stderr } = spawnSync('apt-get', ['-qq', ...args], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) console.log(`apt-get ${args[0]} failed: ${stderr.trim().split('\n').at(-1)}`);
}
