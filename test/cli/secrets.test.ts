import * as fs from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { initRepository } from '../../src/storage/snapshot/repository';
import { testServerAddress } from '../helpers/backup-harness';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { forgeMetadata } from '../storage/restore/restore';
import { createWorkplace, jsonLines, onTestServer, type CommandEnd, type Workplace } from './run-command';

/** Stands in files that a command reads, where it makes them unreadable: they may be anybody's, by a link or a wrong name. */
const SECRET = 'hunter2';
const BROKEN = [`${SECRET}\n`, `{"formatVersion":"${SECRET}"}\n`];

let place: Workplace;
let snapshot: string;

beforeEach(() => {
  place = createWorkplace();
  fs.mkdirSync(place.path('source'));
  fs.writeFileSync(place.path('source', 'file'), 'content');
  initRepository(place.path('repository'));
  snapshot = writeSnapshot(place.path('repository'), place.path('source'));
});

afterEach(() => place.remove());

function run(...args: string[]): Promise<CommandEnd> {
  return place.run(args, { env: onTestServer() });
}

function expectSilence(...ends: CommandEnd[]): void {
  for (const { stdout, stderr } of ends) expect(`${stdout}${stderr}`).not.toContain(SECRET);
}

const restore = ['restore', 'repository', '--to', 'target', '--max-retries', '0', '--log-level', 'debug'];

/** One after the other. */
async function runAll(...commands: readonly string[][]): Promise<CommandEnd[]> {
  const ends: CommandEnd[] = [];
  for (const args of commands) ends.push(await run(...args));
  return ends;
}

test.each(BROKEN)('a mark of a repository that holds %j is not quoted', async (text) => {
  fs.chmodSync(place.path('repository', '.file-backup', 'repository.json'), 0o600);
  fs.writeFileSync(place.path('repository', '.file-backup', 'repository.json'), text);
  const ends = await runAll(['snapshots', 'repository'], restore);
  expectSilence(...ends);
  expect(ends.map(({ code }) => code)).not.toContain(0);
});

test.each(BROKEN)('a record of a snapshot that holds %j is not quoted', async (text) => {
  fs.writeFileSync(place.path('repository', snapshot, 'snapshot.json'), text);
  expectSilence(...(await runAll(['snapshots', 'repository'], ['check', 'repository'], restore)));
});

test.each([SECRET, `{"path": ${SECRET}}`, `"${SECRET}"`])('a line of metadata that is %j is not quoted', async (line) => {
  forgeMetadata(place.path('repository'), snapshot, (entries) => [...entries, line]);
  const ends = await runAll(['ls', 'repository'], ['check', 'repository'], restore);
  expectSilence(...ends);
  expect(ends[0]?.stderr).toMatch(/metadata\.ndjson is damaged: it .* in the line at byte \d+/);
});

test.each(['manifest.ndjson', 'summary.json'])('a %s of an earlier run is not quoted by the next, nor is it in its history', async (name) => {
  await run('batch', 'source/file', '--to', 'target');
  const [runId = ''] = fs.readdirSync(place.path('target', '.file-backup', 'runs'));
  const record = place.path('target', '.file-backup', 'runs', runId, name);
  fs.chmodSync(record, 0o600);
  fs.writeFileSync(record, `${SECRET}\n`);
  const end = await run('batch', 'source/file', '--to', 'target', '--json', '--log-level', 'debug', '--max-retries', '0');
  expectSilence(end);
  expect(await historyOf(end)).not.toContain(SECRET);
});

/** What the server keeps of a run, payloads included. */
async function historyOf({ stdout }: CommandEnd): Promise<string> {
  const { workflowId, runId } = jsonLines(stdout).at(-1) as { workflowId: string; runId: string };
  const connection = await Connection.connect({ address: testServerAddress() });
  try {
    const history = historyToJSON(await new Client({ connection }).workflow.getHandle(workflowId, runId).fetchHistory());
    const payloads = [...history.matchAll(/"data": ?"([^"]*)"/g)].map(([, data = '']) => Buffer.from(data, 'base64').toString());
    expect(payloads.length).toBeGreaterThan(0);
    return [history, ...payloads].join('\n');
  } finally {
    await connection.close();
  }
}

test('a configuration file of Temporal that cannot be read is not quoted: it holds keys', async () => {
  const file = place.path('temporal.toml');
  fs.writeFileSync(file, `[profile.default]\naddress = "localhost:7233"\napi_key = ${SECRET} word\n`);
  const end = await place.run(['runs'], { env: { TEMPORAL_CONFIG_FILE: file } });
  expectSilence(end);
  expect(end).toMatchObject({ code: 2 });
  expect(end.stderr).toContain('no valid TOML from line 3, column');
});

test('the record of the embedded server is not quoted', async () => {
  fs.mkdirSync(place.stateDirectory, { recursive: true, mode: 0o700 });
  fs.writeFileSync(join(place.stateDirectory, 'server.json'), `{"version": 1, "pid": ${SECRET}}`);
  expectSilence(await place.run(['runs']));
});
