import { mkdirSync, writeFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { choosePayloadKeys, BackupClient, type BackupSchedule } from '../../src/client';
import { freePort } from '../../src/server/ports';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { killTogether, processOf, serverProcess } from '../helpers/kill-processes';
import { createWorkplace, jsonLines, until, type RunningCommand, type Workplace } from './run-command';

jest.setTimeout(120_000);

/** Enough for a busy machine to create a schedule and to kill the server before the first of its times. */
const AHEAD_MS = 10_000;

const TASK_QUEUE = 'catch-up';

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
  mkdirSync(place.path('source'));
  writeFileSync(place.path('source', 'a'), 'a');
  initRepository(place.path('repository'));
});

afterEach(() => place.remove());

/** As Temporal takes it, seconds first: one moment and no other. */
function cronAt(time: Date): string {
  return [time.getUTCSeconds(), time.getUTCMinutes(), time.getUTCHours(), time.getUTCDate(), time.getUTCMonth() + 1, '*', time.getUTCFullYear()].join(' ');
}

test('times that come while the server is dead are made up for once it is back: by one snapshot, and not by two', async () => {
  const [port, uiPort] = await Promise.all([freePort(), freePort()]);
  const address = `127.0.0.1:${port}`;
  const startServer = async (): Promise<RunningCommand> => {
    const server = place.start(['server', '--port', String(port), '--ui-port', String(uiPort), '--json']);
    await until(() => server.printed().includes('"server"'), `the server serves:\n${server.printed()}`);
    return server;
  };
  let server = await startServer();
  const creator = await BackupClient.connect({ address, taskQueue: TASK_QUEUE, payloadKeys: choosePayloadKeys({ stateDirectory: place.stateDirectory }, {}) });
  const times = [0, 1000].map((ms) => new Date(Date.now() + AHEAD_MS + ms));
  await creator.schedules.create({
    name: 'nightly',
    timing: { cron: times.map(cronAt) },
    action: { snapshot: { sources: [place.path('source')], repository: place.path('repository'), host: 'test-host', verifyFrom: 'cache' } },
  });
  await creator.close();
  await killTogether([serverProcess(place.stateDirectory), processOf(server)]);
  if (Date.now() >= (times[0]?.getTime() ?? 0)) throw new Error('The machine was too slow: the server was killed too late');
  // What is waited for is nothing but that both times are past.
  await until(() => Date.now() > (times[1]?.getTime() ?? 0) + 1000, 'both times are past');

  server = await startServer();
  const env = { TEMPORAL_ADDRESS: address };
  const worker = place.start(['worker', '--source-root', 'source', '--destination-root', place.directory, '--task-queue', TASK_QUEUE], { env });
  const listed = async (): Promise<BackupSchedule> => {
    const { stdout } = await place.run(['schedule', 'list', '--json'], { env });
    return (jsonLines(stdout).at(-1)?.schedules as BackupSchedule[])[0] as BackupSchedule;
  };
  await until(() => snapshotNames(place.path('repository')).length > 0, `a snapshot is taken:\n${worker.printed()}`);
  const schedule = await listed();
  expect(schedule).toMatchObject({ name: 'nightly', taken: 1, skippedOverlaps: 1, missed: 0, nextTimes: [], recentRuns: [{ scheduledAt: new Date(Math.floor((times[0]?.getTime() ?? 0) / 1000) * 1000).toISOString() }] });
  const connection = await Connection.connect({ address });
  try {
    const [{ workflowId, runId } = { workflowId: '', runId: '' }] = schedule.recentRuns;
    expect(await new Client({ connection }).workflow.getHandle(workflowId, runId).result()).toMatchObject({ snapshot: { success: true, files: 1 } });
  } finally {
    await connection.close();
  }
  // The run is over, and no other follows.
  expect(await listed()).toMatchObject({ taken: 1, skippedOverlaps: 1, missed: 0, nextTimes: [] });
  expect(snapshotNames(place.path('repository'))).toHaveLength(1);

  worker.child.kill('SIGTERM');
  expect((await worker.end).code).toBe(0);
  server.child.kill('SIGTERM');
  expect((await server.end).code).toBe(0);
  await place.serverEnd();
});
