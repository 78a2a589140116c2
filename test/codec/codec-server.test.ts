import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as send, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { Payload, SerializationContext } from '@temporalio/common';
import { MAX_BODY_BYTES, startCodecServer, type CodecServer } from '../../src/codec/codec-server';
import { createPayloadCodec } from '../../src/keys/payload-codec';
import { payloadKeys, type PayloadKeys } from '../../src/keys/payload-keys';
import { Bound } from '../../src/proof/bound';
import { payloadConverter } from '../../src/proof/payload-converter';

const UI = 'http://127.0.0.1:8233';
const secret = randomBytes(32);
const token = randomBytes(32);
const keys = payloadKeys([secret], { encrypt: true });
let server: CodecServer;

beforeEach(async () => {
  server = await startCodecServer({ port: 0, uiOrigins: [UI], keys, token });
});
afterEach(() => server.close());

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends what no browser would. */
async function ask(method: string, path: string, headers: OutgoingHttpHeaders = {}, body = ''): Promise<Answer> {
  const asked = send(server.endpoint, { method, path, headers, agent: false });
  asked.on('error', () => undefined);
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, headers: response.headers, text };
}

const bearer = { authorization: `Bearer ${token.toString('hex')}`, 'x-namespace': 'default' };

function bodyOf(...payloads: Payload[]): string {
  const base64 = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64');
  return JSON.stringify({ payloads: payloads.map(({ metadata, data }) => ({ metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)])), data: base64(data) })) });
}

async function sealed(value: unknown, by: PayloadKeys = keys, namespace = 'default'): Promise<Payload> {
  const context: SerializationContext = { type: 'workflow', namespace, workflowId: 'one' };
  return (await createPayloadCodec({ keys: by }).encode([payloadConverter.toPayload(value)], context))[0]!;
}

/** What each payload of an answer holds. */
function dataIn({ text }: Answer): string[] {
  return (JSON.parse(text) as { payloads: { data: string }[] }).payloads.map(({ data }) => Buffer.from(data, 'base64').toString());
}

test('the owner reads what was sealed for the namespace, encrypted or not, with whose it is; all else stays as it is', async () => {
  const own = await sealed(new Bound({ path: '/etc/x' }, { kind: 'result', runId: 'run' }));
  const strangers = [await sealed('secret', payloadKeys([randomBytes(32)], { encrypt: true })), await sealed('elsewhere', keys, 'other'), { ...own, data: Buffer.from(own.data ?? []).fill(0, 20, 30) }, payloadConverter.toPayload('unsigned'), {}];
  const body = bodyOf(own, await sealed('signed', payloadKeys([secret])), ...strangers);
  const answer = await ask('POST', '/decode', bearer, body);
  const { payloads } = JSON.parse(answer.text) as { payloads: { metadata: Record<string, string> }[] };
  expect(answer.status).toBe(200);
  expect(dataIn(answer).slice(0, 2)).toEqual(['{"path":"/etc/x"}', '"signed"']);
  expect(Buffer.from(payloads[0]?.metadata['file-backup-claims'] ?? '', 'base64').toString()).toBe('{"namespace":"default","workflowId":"one"}');
  expect(payloads.slice(2)).toEqual((JSON.parse(body) as { payloads: unknown[] }).payloads.slice(2));
});

test('without the token nothing is said, whoever asks for whatever', async () => {
  const body = bodyOf(await sealed('secret'));
  const wrong: OutgoingHttpHeaders[] = [{}, { authorization: 'Bearer' }, { authorization: `Bearer ${'0'.repeat(64)}` }, { authorization: `Basic ${token.toString('hex')}` }, { authorization: `Bearer ${token.toString('hex')}0` }, { cookie: `file-backup-codec=${token.toString('hex')}`, origin: UI }];
  for (const headers of wrong) {
    for (const [method, path] of [['POST', '/decode'], ['POST', '/encode'], ['GET', '/'], ['GET', '/open'], ['GET', '/open?code=0']] as const) expect(await ask(method, path, headers, method === 'POST' ? body : '')).toMatchObject({ status: 401, text: '' });
  }
});

test('nothing is signed for anybody, the owner included', async () => {
  expect(await ask('POST', '/encode', bearer, bodyOf(payloadConverter.toPayload('value')))).toMatchObject({ status: 404, text: '' });
});

test('a page of another origin gets nothing and may read nothing, whatever it knows', async () => {
  const body = bodyOf(await sealed('secret'));
  for (const origin of ['http://127.0.0.1:8234', 'http://localhost:8233', 'https://127.0.0.1:8233', 'http://example.org', 'null', `${UI}.example.org`]) {
    for (const method of ['POST', 'OPTIONS']) {
      const { status, text, headers } = await ask(method, '/decode', { ...bearer, origin, 'access-control-request-method': 'POST' }, method === 'POST' ? body : '');
      expect({ status, text, allowed: headers['access-control-allow-origin'] }).toEqual({ status: 401, text: '', allowed: undefined });
    }
  }
});

test('a name that is none of this host is refused, though it leads here', async () => {
  const body = bodyOf(await sealed('secret'));
  for (const host of ['example.org', '127.0.0.1.example.org', 'localhost.example.org:8234', '127.0.0.1@example.org', '127.0.0.2']) {
    expect(await ask('POST', '/decode', { ...bearer, host }, body)).toMatchObject({ status: 401, text: '' });
    expect(await ask('GET', new URL(server.link).pathname + new URL(server.link).search, { host })).toMatchObject({ status: 401, text: '' });
  }
  for (const host of ['localhost:8234', '127.0.0.1', '[::1]:1']) expect(await ask('POST', '/decode', { ...bearer, host }, body)).toMatchObject({ status: 200 });
});

test('the Web UI is told what it may send, and its browser is let in by the link, once', async () => {
  const preflight = await ask('OPTIONS', '/decode', { origin: UI, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,x-namespace' });
  expect(preflight).toMatchObject({ status: 204, text: '', headers: { 'access-control-allow-origin': UI, 'access-control-allow-credentials': 'true', 'access-control-allow-methods': 'POST', vary: 'Origin' } });
  expect(preflight.headers['access-control-allow-headers']).toMatch(/Authorization.*Content-Type.*X-Namespace/);
  const path = new URL(server.link).pathname + new URL(server.link).search;
  const opened = await ask('GET', path);
  const cookie = opened.headers['set-cookie']?.[0] ?? '';
  expect(cookie).toMatch(/^file-backup-codec=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=\/decode$/);
  expect(cookie + opened.text).not.toContain(token.toString('hex'));
  const shown = { cookie: `other=1; ${cookie.split(';')[0] ?? ''}`, 'x-namespace': 'default' };
  const body = bodyOf(await sealed('value'));
  expect(dataIn(await ask('POST', '/decode', { ...shown, origin: UI }, body))).toEqual(['"value"']);
  for (const headers of [shown, { ...shown, origin: 'http://127.0.0.1:9' }]) expect(await ask('POST', '/decode', headers, body)).toMatchObject({ status: 401, text: '' });
  expect(await ask('GET', path)).toMatchObject({ status: 401, text: '' });
  expect((await ask('GET', path)).headers['set-cookie']).toBeUndefined();
});

test('bodies that are too large or no payloads are refused without a word, and the endpoint goes on', async () => {
  expect(await ask('POST', '/decode', bearer, ' '.repeat(MAX_BODY_BYTES + 1))).toMatchObject({ status: 413, text: '' });
  for (const body of ['', '{', '[]', '{"payloads":[{"data":"?"}]}', '{"payloads":[{"metadata":{"encoding":7}}]}']) expect(await ask('POST', '/decode', bearer, body)).toMatchObject({ status: 400, text: '' });
  expect(await ask('POST', '//', bearer)).toMatchObject({ text: '' });
  expect(await ask('POST', '/decode', bearer, '{"payloads":[]}')).toMatchObject({ status: 200, text: '{"payloads":[]}' });
});
