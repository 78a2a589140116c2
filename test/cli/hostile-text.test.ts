import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client';
import { STATE_ATTRIBUTE } from '../../src/core/names';
import { orderKey } from '../../src/storage/snapshot/entry-order';
import { fromJsonPath } from '../../src/storage/path-bytes';
import type { SnapshotEntry } from '../../src/storage/snapshot/entry';
import { initRepository } from '../../src/storage/snapshot/repository';
import { testServerAddress } from '../helpers/backup-harness';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { forgeMetadata } from '../storage/restore/restore';
import { createWorkplace, jsonLines, onTestServer, type CommandEnd, type Workplace } from './run-command';

/** A title of the window, a cleared screen, a line of its own, a name that reads backwards, and what shows nothing. */
const EVIL = 'x\u001b]0;evil\u0007\u001b[2J\r\u009b31m\nFORGED line\u202egnp.\u2066\u200b\u{e0041}\u2028end';
const SHOWN = 'x\\u001b]0;evil\\u0007\\u001b[2J\\r\\u009b31m\\nFORGED line\\u202egnp.\\u2066\\u200b\\udb40\\udc41\\u2028end';

let place: Workplace;
let before: string;
let after: string;

const repository = (): string => place.path('repository');
const source = (...names: string[]): string => place.path('source', ...names);

beforeAll(() => {
  place = createWorkplace();
  initRepository(repository());
  fs.mkdirSync(source());
  for (const name of ['a', 'b']) fs.writeFileSync(source(name), `content of ${name}`);
  before = writeSnapshot(repository(), source());
  after = writeSnapshot(repository(), source(), { startedAt: new Date(Date.now() + 5000) });
});

afterAll(() => place.remove());

const run = (...args: string[]): Promise<CommandEnd> => place.run(args, { env: onTestServer() });

/** Nothing but text and line breaks, none of which the text has brought along. */
function expectText(ends: readonly CommandEnd[]): void {
  const printed = ends.map(({ stdout, stderr }) => `${stdout}${stderr}`).join('');
  expect(printed.match(/[^\n\P{Cc}]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|^FORGED/gmu) ?? []).toEqual([]);
}

const inOrder = (entries: readonly SnapshotEntry[]): SnapshotEntry[] => entries.map((entry) => [orderKey(fromJsonPath(entry.path)), entry] as const).sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);

/** Text where text belongs. */
function forge(name: string): void {
  const failed: SnapshotEntry = { path: source(`${EVIL}failed`), type: 'file', state: 'failed', failure: { code: 'EIO', side: 'source', message: EVIL } };
  const forged = (entries: readonly SnapshotEntry[]): SnapshotEntry[] => inOrder([...entries.map((entry) => (entry.path === source('a') ? { ...entry, path: source(EVIL) } : entry)), failed]);
  forgeMetadata(repository(), name, forged, { host: EVIL, tags: [EVIL], sources: [`/${EVIL}`], leftOut: [EVIL], notKept: [EVIL] });
}

/** Text where none belongs: whoever prints it as a number must not print it as it is. */
function forgeTypes(name: string): void {
  const forged = (entries: readonly SnapshotEntry[]): unknown[] => entries.map((entry) => ({ ...entry, uid: EVIL, gid: EVIL, messageType: 'result', ...(entry.type === 'file' ? { sizeBytes: EVIL, mode: EVIL } : {}) }));
  const counts = { files: EVIL, sizeBytes: EVIL, failed: EVIL } as never;
  forgeMetadata(repository(), name, forged, { status: EVIL as never, counts, startedAt: EVIL, endedAt: EVIL, verifiedFrom: EVIL as never });
}

test('what a repository holds reaches no terminal as it is, whatever the command', async () => {
  forge(before);
  forge(after);
  const commands = [
    ['snapshots', 'repository'], ['snapshots', 'repository', '--json'], ['ls', 'repository'], ['ls', '--long', 'repository'], ['ls', '--json', 'repository'], ['diff', 'repository', before, after], ['check', 'repository'], ['check', '--json', 'repository'],
    ['prune', 'repository', '--keep-last', '1', '--dry-run'], ['restore', 'repository', '--to', 'target', '--dry-run'], ['restore', 'repository', '--to', 'target', '--max-retries', '0', '--log-level', 'debug'], ['ls', 'repository', 'latest', `/${EVIL}`], ['ls', 'repository', EVIL], [`--${EVIL}`], [EVIL], ['restore', 'repository', 'latest', EVIL, '--to', 'target'],
  ];
  const ends: CommandEnd[] = [];
  for (const args of commands) ends.push(await run(...args));
  expectText(ends);
  expect(ends.filter(({ stdout, stderr }) => !`${stdout}${stderr}`.includes(SHOWN)).map((end) => commands[ends.indexOf(end)])).toEqual([]);
  expect(jsonLines(ends[4]?.stdout ?? '')).toContainEqual(expect.objectContaining({ path: source(EVIL) }));
});

test('neither does text that stands where a number or a state belongs, and no entry passes for a result', async () => {
  forgeTypes(before);
  forgeTypes(after);
  const ends: CommandEnd[] = [];
  for (const args of [['snapshots', 'repository'], ['prune', 'repository', '--keep-last', '1', '--dry-run'], ['ls', '--long', 'repository'], ['ls', '--json', 'repository'], ['diff', '--metadata', 'repository', before, after], ['check', 'repository']]) ends.push(await run(...args));
  expectText(ends);
  expect(jsonLines(ends[3]?.stdout ?? '').filter(({ messageType }) => messageType === 'result')).toEqual([]);
});

describe('what a server says', () => {
  let client: Client;
  const workflowId = `hostile-${randomUUID()}${EVIL}`;
  const schedule = `file-backup-schedule-${randomUUID()}${EVIL}`;

  beforeAll(async () => {
    client = new Client({ connection: await Connection.connect({ address: testServerAddress() }) });
    const memo = { operationId: EVIL, fingerprint: EVIL, sourcePath: EVIL, backupPath: EVIL, metadata: {} };
    await client.workflow.start('backupFile', { workflowId, taskQueue: `hostile-${randomUUID()}${EVIL}`, args: [], memo, searchAttributes: { [STATE_ATTRIBUTE]: [EVIL] } });
    await client.schedule.create({
      scheduleId: schedule,
      memo: { sources: EVIL, repository: EVIL, timing: EVIL },
      spec: { intervals: [{ every: '30 days' }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP },
      state: { paused: true, note: EVIL },
      action: { type: 'startWorkflow', workflowType: 'none', taskQueue: 'none', args: [] },
    });
  });

  afterAll(async () => {
    await client.workflow.getHandle(workflowId).terminate().catch(() => undefined);
    await client.schedule.getHandle(schedule).delete().catch(() => undefined);
    await client.connection.close();
  });

  test('reaches no terminal as it is', async () => {
    const ends: CommandEnd[] = [];
    // Without a key, so that what nobody has signed is believed and shown.
    const runUnsigned = (...args: string[]): Promise<CommandEnd> => place.run(args, { env: { ...onTestServer(), FILE_BACKUP_PAYLOAD_KEY: 'none' } });
    for (const args of [['runs', '--limit', '1000'], ['runs', '--limit', '1000', '--json'], ['status', workflowId], ['status', workflowId, '--json'], ['status', EVIL], ['pause', workflowId], ['schedule', 'list'], ['schedule', 'list', '--json'], ['schedule', 'pause', EVIL], ['cancel', workflowId]]) ends.push(await runUnsigned(...args));
    expectText(ends);
    const told = ends.map(({ stdout, stderr }) => `${stdout}${stderr}`.includes(SHOWN));
    expect(told).toEqual(ends.map(() => true));
  });
});
