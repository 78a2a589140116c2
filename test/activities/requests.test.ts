import { ApplicationFailure } from '@temporalio/common';
import type { Context } from '@temporalio/activity';
import { breakerInterceptor, DestinationBreakers, type ActivityDependencies } from '../../src/activities';
import { parseRequest, requests, type ActivityName } from '../../src/activities/requests';
import { defaultBreakerOptions } from '../../src/core/breaker';
import { ActivityPlace, newAsking } from '../helpers/activity-place';
import { useFolder } from '../helpers/files';
import { recordedRequests } from '../helpers/recorded-requests';

const recorded = recordedRequests();
const names = Object.keys(requests) as ActivityName[];
const folder = useFolder();

/** A worker's activities whose steps must not be reached. */
const unreachable = { run: (step: string) => Promise.reject(new Error(`The step ${step} was reached`)) } as unknown as ActivityDependencies['pool'];

async function refusalOf(name: string, args: readonly unknown[]): Promise<ApplicationFailure> {
  const place = new ActivityPlace(folder(), unreachable);
  const error: unknown = await place.schedule(name, args, newAsking()).then(
    () => new Error('It was not refused'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApplicationFailure)) throw error;
  return error;
}

test('every activity has a schema for its whole request, and no schema is without an activity', () => {
  expect(Object.keys(new ActivityPlace(folder()).activities).sort()).toEqual([...names].sort());
});

test('histories are recorded of every activity, and what they were asked for is still understood', () => {
  expect(Object.keys(recorded).sort()).toEqual([...names].sort());
  for (const name of names) {
    for (const args of recorded[name] ?? []) expect(comparable(parseRequest(name, args, 1))).toMatchObject(name === 'discardRun' ? { runId: expect.any(String) as string } : comparable(args[0]));
  }
});

/** Without what earlier versions handed on, and nobody looks at any more. */
function comparable(request: unknown): object {
  return JSON.parse(JSON.stringify(request), (key, value: unknown) => (key === 'root' || key === 'area' ? undefined : value)) as object;
}

describe.each(names)('%s', (name) => {
  const [valid] = recorded[name]?.at(-1) ?? [];

  test.each<[string, unknown[]]>([
    ['no request', []],
    ['two requests', [valid, valid]],
    ...[undefined, null, 5, true, 'text', '', [], [valid], {}, { operation: null }, { batch: 5 }, { snapshot: { location: null } }, { restore: [] }, { operation: { input: null } }].map((value): [string, unknown[]] => [`${JSON.stringify(value)?.slice(0, 40)}`, [value]]),
  ])('refuses %s before anything is done', async (_what, args) => {
    expect(await refusalOf(name, args)).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  });

  test('refuses an unknown field at any depth, and says where, without its value', async () => {
    for (const path of objectPaths(valid)) {
      const refusal = await refusalOf(name, [changed(valid, path, (value) => ({ ...(value as object), strange: 'SECRET' }))]);
      expect(refusal).toMatchObject({ type: 'InvalidInput', message: expect.stringContaining('strange') as string });
      expect(refusal.message).not.toContain('SECRET');
    }
  });

  test('refuses a value of another kind in any field, names it, and quotes nothing', () => {
    for (const path of leafPaths(valid)) {
      for (const value of [{ SECRET: 'SECRET' }, ['SECRET'], 'SECRET\u001b[31m\u202e', `/SECRET${'x'.repeat(5000)}`, -1, 1.5, 1e300]) {
        const request = changed(valid, path, () => value);
        let refusal: unknown;
        try {
          parseRequest(name, [request], 1);
          continue;
        } catch (error) {
          refusal = error;
        }
        expect(refusal).toBeInstanceOf(ApplicationFailure);
        const { type, message } = refusal as ApplicationFailure;
        expect(type).toBe('InvalidInput');
        expect(message.length).toBeLessThan(4000);
        // eslint-disable-next-line no-control-regex -- nothing may reach a terminal
        expect(message.replaceAll('Unknown fields: SECRET', '')).not.toMatch(/SECRET|[\u0000-\u0009\u000b-\u001f\u202e]/);
        expect((refusal as ApplicationFailure).cause).not.toBeInstanceOf(TypeError);
      }
    }
  });

  test('passes the circuit breaker, however it is malformed', async () => {
    const breakers = new DestinationBreakers(defaultBreakerOptions, () => undefined);
    const { inbound } = breakerInterceptor({ breakers, destinationRoots: ['/'], probe: () => Promise.resolve() })({ info: { activityType: name, attempt: 1 } } as Context);
    for (const value of [undefined, null, 5, 'text', { operation: null }, { batch: { location: 5 } }, { restore: { location: null } }, { input: [] }]) {
      const next = jest.fn(() => Promise.resolve('reached'));
      await expect(inbound?.execute?.({ args: [value], headers: {} }, next)).resolves.toBe('reached');
    }
  });
});

test.each([
  ['a run id with a slash', 'discardRun', { runId: '../../etc/passwd' }],
  ['a staged file\'s name that is another entry of staging', 'stageFile', { replaces: 'previous' }],
  ['a staged file\'s name that leads elsewhere', 'publishFile', { staged: { name: '../target' } }],
  ['a mode beyond all bits', 'closeRestore', { restore: { rootAttributes: { mode: '17777', uid: 0, gid: 0, mtimeNs: '0' } } }],
  ['a user id beyond all users', 'closeRestore', { restore: { rootAttributes: { mode: '0777', uid: 2 ** 32, gid: 0, mtimeNs: '0' } } }],
  ['more undone chunks than there are', 'undoChunks', { count: 5 }],
  ['a share of the data that is none', 'checkRepository', { readData: '200%' }],
  ['parents that do not lead to the target', 'discardStaging', { operation: { missingDirectories: ['/etc'] } }],
  ['a destination that is not above the target', 'prepareStaging', { operation: { destination: { path: '/etc' } } }],
  ['a ground that is not above the target', 'finishRestore', { restore: { ground: { destination: { path: '/etc' } } } }],
  ['a snapshot that is no name of one', 'restoreChunk', { restore: { snapshot: '..' } }],
  ['a path that is not normal', 'pruneRepository', { repository: '/backups/../etc' }],
  ['a path that is not absolute', 'checkRepository', { repository: 'backups' }],
  ['a digest that is none', 'verifyFile', { staged: { sha256: 'x' } }],
  ['a number beyond whole ones', 'sealRun', { batch: { chunks: Number.MAX_SAFE_INTEGER } }],
] as const)('%s is refused', async (_what, name, forged) => {
  const [valid] = recorded[name]?.[0] ?? [];
  expect(await refusalOf(name, [merged(valid, forged)])).toMatchObject({ type: 'InvalidInput' });
});

type Path = readonly (string | number)[];

function objectPaths(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  const below = Object.entries(value).flatMap(([key, inner]) => objectPaths(inner, [...at, key]));
  // Any name may stand in these.
  return Array.isArray(value) || at.at(-1) === 'metadata' ? below : [at, ...below];
}

function leafPaths(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return Object.entries(value).flatMap(([key, inner]) => leafPaths(inner, [...at, key]));
}

function changed(value: unknown, [key, ...rest]: Path, change: (value: unknown) => unknown): unknown {
  if (key === undefined) return change(value);
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string | number, unknown>;
  copy[key] = changed(copy[key], rest, change);
  return copy;
}

function merged(value: unknown, forged: unknown): unknown {
  if (typeof forged !== 'object' || forged === null || Array.isArray(forged)) return forged;
  const copy = { ...(value as Record<string, unknown> | undefined) };
  for (const [key, inner] of Object.entries(forged)) copy[key] = merged(copy[key], inner);
  return copy;
}
