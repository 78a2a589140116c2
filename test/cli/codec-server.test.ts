import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { hostTaskQueue } from '../../src/core/names';
import { freePort } from '../../src/server/ports';
import { fileWorkflowId } from '../../src/workflow-ids';
import { meetStranger, type Stranger } from '../helpers/stranger';
import { createWorkplace, jsonLines, onTestServer, until, type RunningCommand, type Workplace } from './run-command';

const UI = 'http://127.0.0.1:8233';
let place: Workplace;
let stranger: Stranger;

beforeAll(async () => {
  place = createWorkplace();
  stranger = await meetStranger();
});
afterAll(async () => {
  await stranger?.close();
  await place?.remove();
});

interface PayloadJson {
  readonly metadata?: Record<string, string>;
  readonly data?: string;
}

/** Every payload below a message, as protocol buffers have it in JSON. */
function payloadsIn(message: unknown): PayloadJson[] {
  if (typeof message !== 'object' || message === null || message instanceof Uint8Array) return [];
  const { metadata, data } = message as { metadata?: Record<string, Uint8Array>; data?: Uint8Array };
  if (metadata?.encoding instanceof Uint8Array) {
    const base64 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64');
    return [{ metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, base64(value)])), data: base64(data) }];
  }
  return Object.values(message).flatMap(payloadsIn);
}

/** All text and bytes of a message. */
function textOf(message: unknown): string {
  if (message instanceof Uint8Array) return Buffer.from(message).toString('latin1');
  if (typeof message === 'object' && message !== null) return Object.values(message).map(textOf).join('\n');
  return String(message);
}

async function startEndpoint(...options: string[]): Promise<{ command: RunningCommand; endpoint: string; link: string }> {
  const command = place.start(['codec-server', '--json', '--port', String(await freePort()), ...options]);
  await until(() => command.printed().includes('\n'), 'the endpoint is ready');
  const [{ endpoint, link } = {}] = jsonLines(command.printed());
  return { command, endpoint: String(endpoint), link: String(link) };
}

function decode(endpoint: string, payloads: readonly PayloadJson[], headers: Record<string, string>): Promise<Response> {
  return fetch(`${endpoint}/decode`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-namespace': 'default', ...headers }, body: JSON.stringify({ payloads }) });
}

test('of an encrypted run the server knows no path but those that it has to, and the endpoint shows its owner all', async () => {
  writeFileSync(place.path('source-in-clear'), 'content');
  expect(await place.run(['file', 'source-in-clear', 'target-in-clear', '--encrypt-payloads', '--metadata', 'reason=reason-in-clear'], { env: onTestServer() })).toMatchObject({ code: 0 });
  const run = { workflowId: fileWorkflowId(hostTaskQueue(hostname()), place.path('target-in-clear')), runId: '' };
  const events = await stranger.history(run);
  const connection = await Connection.connect({ address: process.env.TEST_TEMPORAL_ADDRESS });
  const description = await connection.workflowService.describeWorkflowExecution({ namespace: 'default', execution: { workflowId: run.workflowId } }).finally(() => connection.close());
  expect(events.length).toBeGreaterThan(10);
  expect(textOf(events) + textOf(description)).not.toMatch(/in-clear|file-backup-cli-/);

  const { command, endpoint, link } = await startEndpoint('--ui-origin', `${UI}/`);
  const payloads = payloadsIn(events);
  const token = readFileSync(join(place.stateDirectory, 'codec.token'), 'utf8').trim();
  expect(statSync(join(place.stateDirectory, 'codec.token')).mode & 0o777).toBe(0o600);
  const response = await decode(endpoint, payloads, { authorization: `Bearer ${token}` });
  const read = ((await response.json()) as { payloads: PayloadJson[] }).payloads.map(({ data }) => Buffer.from(data ?? '', 'base64').toString()).join('\n');
  for (const part of ['source-in-clear', 'target-in-clear', 'reason-in-clear']) expect(read).toContain(part);
  for (const headers of [{}, { authorization: `Bearer ${token}`, origin: 'http://127.0.0.1:9' }]) {
    const refused = await decode(endpoint, payloads, headers as Record<string, string>);
    expect([refused.status, await refused.text()]).toEqual([401, '']);
  }
  const [cookie = ''] = (await fetch(link)).headers.getSetCookie();
  expect((await decode(endpoint, payloads, { cookie: cookie.split(';')[0] ?? '', origin: UI })).status).toBe(200);
  command.child.kill('SIGTERM');
  expect(await command.end).toMatchObject({ code: 0, stderr: '' });
});

test('without a named Web UI it serves that of the embedded server, and keeps it running', async () => {
  const { command } = await startEndpoint();
  const [{ uiOrigins } = {}] = jsonLines(command.printed());
  expect((await fetch(String((uiOrigins as string[])[0]))).status).toBe(200);
  command.child.kill('SIGINT');
  expect(await command.end).toMatchObject({ code: 0 });
  await place.serverEnd();
});

test('is told at once what cannot be', async () => {
  const { command, endpoint } = await startEndpoint('--ui-origin', UI);
  const run = (...options: string[]) => place.run(['codec-server', ...options], { env: onTestServer() });
  expect(await run('--ui-origin', UI, '--port', new URL(endpoint).port)).toMatchObject({ code: 2, stderr: expect.stringContaining('choose another with --port') as string });
  expect(await run('--ui-origin', 'everybody')).toMatchObject({ code: 2, stderr: expect.stringContaining('must be the address of a Web UI') as string });
  expect(await run('--ui-origin', UI, '--payload-key', 'none')).toMatchObject({ code: 2, stderr: expect.stringContaining('Without a key there is nothing to open') as string });
  expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining('--ui-origin') as string });
  command.child.kill('SIGINT');
  await command.end;
});
