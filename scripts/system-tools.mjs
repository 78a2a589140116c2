// Programs of the system that some scripts need: installed where that is possible without asking.
import { spawnSync } from 'node:child_process';

/** Installs what is missing, if it may, and answers what is missing still. @param tools program → the system package that brings it */
export function provideSystemTools(tools) {
  const missing = Object.keys(tools).filter((tool) => !isPresent(tool));
  if (missing.length > 0 && process.getuid?.() === 0 && isPresent('apt-get')) {
    console.error(`Installing ${missing.join(', ')}…`);
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...missing.map((tool) => tools[tool]));
  }
  return missing.filter((tool) => !isPresent(tool));
}

export function isPresent(program) {
  return spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0;
}

function apt(...args) {
  const { status, stderr } = spawnSync('apt-get', ['-qq', ...args], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) console.error(`apt-get ${args[0]} failed: ${stderr.trim().split('\n').at(-1)}`);
}
