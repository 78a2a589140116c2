import { ServerPatience, isServerAway, type PatienceOptions } from '../../src/client/server-patience';

const unavailable = Object.assign(new Error('14 UNAVAILABLE'), { code: 14 });
/** As Temporal's client wraps it. */
const away = Object.assign(new Error('Failed to describe workflow', { cause: unavailable }), { name: 'ServiceError' });

let told: string[];
let nowMs: number;

beforeEach(() => {
  [told, nowMs] = [[], 1_000_000];
  jest.useFakeTimers({ now: nowMs, doNotFake: ['nextTick', 'setImmediate'] });
});

afterEach(() => jest.useRealTimers());

function patience(options: Partial<PatienceOptions> = {}): ServerPatience {
  return new ServerPatience({ limitMs: 300_000, mayComeBack: () => true, onAway: (untilMs) => told.push(`until ${untilMs - nowMs}`), onBack: () => told.push('back'), signal: new AbortController().signal, waitMs: (ms) => Promise.resolve(void jest.setSystemTime(Date.now() + ms)), ...options });
}

/** Fails so often, then answers. */
function failing(times: number, error: Error = away): () => Promise<string> {
  let calls = 0;
  return () => (calls++ < times ? Promise.reject(error) : Promise.resolve('answer'));
}

test('a server that is away for minutes is waited for, and that is said once', async () => {
  expect(await patience().during(failing(250))).toBe('answer');
  expect(told).toEqual(['until 300000', 'back']);
});

test('patience ends, with what the server was last known for', async () => {
  await expect(patience().during(failing(Infinity))).rejects.toBe(away);
  expect(told).toEqual(['until 300000']);
  expect(Date.now()).toBe(nowMs + 300_000);
});

test('each time that it goes away it is waited for anew', async () => {
  const followed = patience();
  for (let time = 0; time < 3; time += 1) expect(await followed.during(failing(200))).toBe('answer');
  expect(told).toHaveLength(6);
});

test.each([
  ['an answer that says no', Object.assign(new Error('5 NOT_FOUND'), { code: 5 })],
  ['an error of one\'s own', new Error('unavailable')],
])('%s is not waited out', async (_what, error) => {
  await expect(patience().during(failing(1, error))).rejects.toBe(error);
  expect(told).toEqual([]);
});

test('a server that cannot come back is not waited for', async () => {
  await expect(patience({ mayComeBack: () => false }).during(failing(1))).rejects.toBe(away);
  expect(told).toEqual([]);
});

test.each([[14, true], [4, true], [8, true], [5, false], [7, false], [3, false]])('gRPC code %i: %s', (code, expected) => {
  expect(isServerAway(new Error('wrapped', { cause: Object.assign(new Error(), { code }) }))).toBe(expected);
});
