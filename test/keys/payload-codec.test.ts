import { randomBytes } from 'node:crypto';
import type { Payload, SerializationContext } from '@temporalio/common';
import { createPayloadCodec } from '../../src/keys/payload-codec';
import { payloadKeys, type PayloadKeys } from '../../src/keys/payload-keys';
import { Bound, open, openAll, bindAll, Refused, type Purpose } from '../../src/proof/bound';
import { payloadConverter } from '../../src/proof/payload-converter';

const [secret, other] = [randomBytes(32), randomBytes(32)];
const keys = payloadKeys([secret]);
const workflow: SerializationContext = { type: 'workflow', namespace: 'default', workflowId: 'one' };
const activity: SerializationContext = { type: 'activity', namespace: 'default', workflowId: 'one', activityId: '1', isLocal: false };
const purpose: Purpose = { kind: 'result', runId: 'run' };

async function sealed(value: unknown, context: SerializationContext | undefined = workflow, by: PayloadKeys = keys): Promise<Payload> {
  return (await createPayloadCodec({ keys: by }).encode([payloadConverter.toPayload(value)], context))[0]!;
}

async function read(payload: Payload, context: SerializationContext | undefined = workflow, by: PayloadKeys = keys): Promise<unknown> {
  return payloadConverter.fromPayload((await createPayloadCodec({ keys: by }).decode([payload], context))[0]!);
}

describe.each([
  ['signed', keys],
  ['encrypted', payloadKeys([secret], { encrypt: true })],
])('%s payloads', (kind, by) => {
  test.each([[{ path: '/tmp/ü', size: 1 }], [undefined], [null], [''], [Buffer.from('bytes')]])('come back as they were: %p', async (value) => {
    expect(await read(await sealed(value, workflow, by), workflow, by)).toEqual(value);
    expect(await read(await sealed(new Bound(value, purpose), activity, by), activity, by)).toEqual(new Bound(value, purpose));
  });

  test('are refused in any other place than that which they were made for', async () => {
    const places: SerializationContext[] = [workflow, activity, { ...workflow, workflowId: 'two' }, { ...workflow, namespace: 'other' }, { ...activity, activityId: '2' }, { ...activity, workflowId: 'two' }];
    for (const made of places) {
      for (const found of places) expect((await read(await sealed('value', made, by), found, by)) instanceof Refused).toBe(made !== found);
    }
  });

  test('that belong to no workflow are refused in one', async () => {
    const codec = createPayloadCodec({ keys: by });
    const payloads = await codec.encode([payloadConverter.toPayload('value')]);
    expect(payloadConverter.fromPayload((await codec.decode(payloads))[0]!)).toBe('value');
    expect(await read(payloads[0]!, workflow, by)).toBeInstanceOf(Refused);
  });

  test('are refused when any bit of them is another, or a part is missing', async () => {
    const payload = await sealed(new Bound({ success: true }, purpose), workflow, by);
    const parts = [['data', payload.data], ...Object.entries(payload.metadata ?? {})] as [string, Uint8Array][];
    for (const [name, bytes] of parts) {
      for (const changed of [...bytes].map((byte, index) => Buffer.from(bytes).fill(byte ^ 1, index, index + 1)).concat([Buffer.alloc(0)])) {
        const forged = name === 'data' ? { ...payload, data: changed } : { ...payload, metadata: { ...payload.metadata, [name]: changed } };
        expect(await read(forged, workflow, by)).toBeInstanceOf(Refused);
      }
      const metadata = Object.fromEntries(Object.entries(payload.metadata ?? {}).filter(([each]) => each !== name));
      if (name !== 'data') expect(await read({ ...payload, metadata }, workflow, by)).toBeInstanceOf(Refused);
    }
    expect(parts.length).toBe(kind === 'signed' ? 6 : 4);
  });

  test('are read by every key of a ring, and written with the first', async () => {
    const [old, both, fresh] = [payloadKeys([secret], by), payloadKeys([other, secret], by), payloadKeys([other], by)];
    expect(await read(await sealed('value', workflow, old), workflow, both)).toBe('value');
    expect(await read(await sealed('value', workflow, both), workflow, fresh)).toBe('value');
    expect(await read(await sealed('value', workflow, both), workflow, old)).toEqual(new Refused('is signed with a key that is not known here'));
  });
});

test('what is not signed is refused, whatever it says of itself', async () => {
  expect(await read(payloadConverter.toPayload(new Bound({ success: true }, purpose)))).toEqual(new Refused('is not signed'));
  expect(await read({})).toEqual(new Refused('is not signed'));
});

test('signed data stays readable, and encrypted data does not', async () => {
  expect(Buffer.from((await sealed({ path: '/etc/x' })).data ?? []).toString()).toBe('{"path":"/etc/x"}');
  const { data, metadata } = await sealed(new Bound({ path: '/etc/x' }, purpose), workflow, payloadKeys([secret], { encrypt: true }));
  expect(Buffer.concat([Buffer.from(data ?? []), ...Object.values(metadata ?? {}).map((part) => Buffer.from(part))]).toString('latin1')).not.toMatch(/etc|result/);
});

test('the input of a schedule fits the runs that the server names after it, and no other', async () => {
  const payload = await sealed(new Bound('input', { kind: 'scheduled' }), { ...workflow, workflowId: 'nightly' });
  const fits = async (workflowId: string): Promise<boolean> => !((await read(payload, { ...workflow, workflowId })) instanceof Refused);
  expect([await fits('nightly'), await fits('nightly-2026-01-01T02:30:00Z'), await fits('nightly-2'), await fits('other-2026-01-01T02:30:00Z')]).toEqual([true, true, false, false]);
  const plain = await sealed('input', { ...workflow, workflowId: 'nightly' });
  expect(await read(plain, { ...workflow, workflowId: 'nightly-2026-01-01T02:30:00Z' })).toBeInstanceOf(Refused);
});

test('a value is opened for what it was made for, and arguments only together', () => {
  expect(open(new Bound(1, { kind: 'memo', field: 'a', runId: 'r' }), { kind: 'memo', field: 'a' }).value).toBe(1);
  const others: Purpose[] = [{ kind: 'memo', field: 'b' }, { kind: 'result' }, { kind: 'memo', other: 'a' }];
  for (const expected of others) expect(() => open(new Bound(1, { kind: 'memo', field: 'a' }), expected)).toThrow('was made for something else');
  expect(() => open(1, purpose)).toThrow('is not signed');
  expect(() => open(new Refused('is torn'), purpose)).toThrow('is torn');
  const [a, b] = [bindAll([1, 2], { kind: 'start', nonce: 'a' }), bindAll([3, 4], { kind: 'start', nonce: 'b' })];
  expect(openAll(a).values).toEqual([1, 2]);
  for (const mixed of [[a[0], b[1]], [a[1], a[0]], [a[0]], [...a, a[1]]]) expect(() => openAll(mixed)).toThrow('was put together from parts of others');
  expect(() => openAll([])).toThrow('is empty');
});
