import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '../core/parse-json';
import type { Download } from './download';
import { codeOf, reasonOf } from './errors';

/** Without an answer by then there is no way out to the internet, and the next source gets its turn. */
const ANSWER_WITHIN_MS = 5_000;
const DOWNLOAD_WITHIN_MS = 600_000;
/** Of a long chain of causes, the first and the last say most. */
const REASON_PART = 130;

/**
 * The SDK downloads a Temporal CLI as a part of starting a throw-away server, and in no other way. That happens in a
 * process of its own: it can be ended at any moment, and this process's Temporal runtime stays untouched.
 */
const SCRIPT = `
const [, workerModule, downloadDir, sdkVersion] = process.argv;
const { Runtime } = require(workerModule);
const runtime = Runtime.instance();
const exe = { type: 'cached-download', downloadDir, version: 'default', ttl: 86400000, sdkName: 'sdk-typescript', sdkVersion };
const log = { format: 'pretty', level: 'error' };
runtime
  .createEphemeralServer({
    type: 'dev-server', exe, ip: '127.0.0.1', port: null, ui: false, uiPort: null,
    namespace: 'default', dbFilename: null, log, extraArgs: [],
  })
  .then((server) => runtime.shutdownEphemeralServer(server))
  .then(() => process.exit(0), (error) => { process.stderr.write(error.message); process.exitCode = 1; });
`;

/** The Temporal SDK's own download of the Temporal CLI. */
export const sdkDownload: Download = {
  origin: 'sdkDownload',
  title: "the Temporal SDK's download",
  async fetch(folder, env) {
    const said = await runScript(folder, env);
    const name = readdirSync(folder).find((entry) => !entry.endsWith('.downloading'));
    if (!name) throw new Error(shortened(said) || 'it brought no file');
    return join(folder, name);
  },
};

/** Runs the script to its end, or until it takes too long, and returns what it complained of. */
function runScript(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { version } = parseJson(readFileSync(require.resolve('@temporalio/worker/package.json'), 'utf8')) as { version: string };
  return new Promise((resolve) => {
    const args = ['-e', SCRIPT, require.resolve('@temporalio/worker'), folder, version];
    // A process group of its own: ending it ends the throw-away server too. What the user has every Node process load is none of it.
    const child = spawn(process.execPath, args, { env: { ...env, NODE_OPTIONS: '' }, cwd: '/', detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const giveUp = (reason: string): void => {
      said = reason;
      endGroup(child.pid);
    };
    const timers = [
      setTimeout(() => readdirSync(folder).length === 0 && giveUp(`no answer within ${ANSWER_WITHIN_MS / 1000} s`), ANSWER_WITHIN_MS),
      setTimeout(() => giveUp(`not done within ${DOWNLOAD_WITHIN_MS / 1000} s`), DOWNLOAD_WITHIN_MS),
    ];
    const finish = (): void => {
      for (const timer of timers) clearTimeout(timer);
      resolve(said.trim());
    };
    child.on('error', (error) => {
      said = reasonOf(error);
      finish();
    });
    child.on('close', finish);
  });
}

function shortened(reason: string): string {
  return reason.length <= 2 * REASON_PART ? reason : `${reason.slice(0, REASON_PART)} … ${reason.slice(-REASON_PART)}`;
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has ended by itself.
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}
