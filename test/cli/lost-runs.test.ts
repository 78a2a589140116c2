import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { namesBelow } from '../helpers/names-below';
import { createWorkplace, jsonLines, onTestServer, until, type Workplace } from './run-command';

const LARGE_BYTES = 512 * 1024 ** 2;

let place: Workplace;
let connection: Connection;
const env = onTestServer();

jest.setTimeout(120_000);

beforeAll(async () => {
  connection = await Connection.connect({ address: process.env.TEST_TEMPORAL_ADDRESS });
});

afterAll(() => connection?.close());

beforeEach(() => {
  place = createWorkplace();
  mkdirSync(place.path('source'));
  mkdirSync(place.path('copies'));
  writeFileSync(place.path('source', 'large'), Buffer.alloc(LARGE_BYTES, 'content'));
});

afterEach(() => place.remove());

/** Kills a command while it copies, and has the server forget its run. */
async function loseRun(args: readonly string[]): Promise<{ readonly workflowId: string; readonly runId: string }> {
  const command = place.start([...args, '--json'], { env });
  const isCopying = (): boolean => namesBelow(place.path('copies')).some((name) => /staged|staging\//.test(name) && (statSync(place.path('copies', name), { throwIfNoEntry: false })?.size ?? 0) > 0);
  await until(isCopying, 'it copies');
  command.child.kill('SIGKILL');
  const { workflowId, runId } = jsonLines((await command.end).stdout)[0] as { workflowId: string; runId: string };
  await connection.workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId, runId } });
  const handle = new Client({ connection }).workflow.getHandle(workflowId, runId);
  await until(() => handle.describe().then(() => false, () => true), 'the server has forgotten it');
  return { workflowId, runId };
}

test.each([
  ['file', ['file', 'source/large', 'copies/large']],
  ['batch', ['batch', 'source/large', '--to', 'copies']],
])('what a %s has left that the server does not know any more is shown, and removed on request', async (_kind, args) => {
  const { runId, workflowId } = await loseRun(args);
  const shown = await place.run(['runs'], { env });
  expect(shown.code).toBe(0);
  expect(shown.stderr).toMatch(new RegExp(`^left: ${place.path('copies')}/\\S+${runId}: of run ${runId}, which this server does not know, \\S+ \\S+, unchanged for .+; file-backup cancel ${runId} removes it$`, 'm'));
  expect(jsonLines((await place.run(['runs', '--json'], { env })).stdout)[0]).toMatchObject({ lost: [{ runId, workflowId, sizeBytes: expect.any(Number) as number }] });

  const { code, stdout } = await place.run(['cancel', runId], { env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(`The server does not know run ${runId} any more. What it had left in ${place.path('copies')}/`) as string });
  expect(namesBelow(place.path('copies')).filter((name) => name.includes('stag'))).toEqual([]);
  expect(existsSync(`${place.stateDirectory}/staging/${runId}.json`)).toBe(false);
  expect((await place.run(['runs'], { env })).stderr).not.toContain('left:');
  expect((await place.run(['cancel', runId], { env })).code).toBe(1);
});

test('a run that the server knows is none of these', async () => {
  writeFileSync(place.path('source', 'small'), 'content');
  expect((await place.run(['file', 'source/small', 'copies/small'], { env })).code).toBe(0);
  expect((await place.run(['runs'], { env })).stderr).toBe('');
  expect(readdirSync(place.path('copies'))).toEqual(['small']);
});
