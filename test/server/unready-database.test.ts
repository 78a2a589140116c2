import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { NoTemporalServerError } from '../../src/server/errors';
import { createState, temporalBinary, type StateHarness } from './state-harness';

let state: StateHarness;
beforeEach(() => {
  state = createState();
});
afterEach(() => state.cleanUp());

/** A server that makes a part of its database and ends, as one does that is killed then. */
function cutOff(content = 'half a data'): () => Promise<string> {
  const path = state.path('cut-off');
  writeFileSync(path, `#!/bin/sh\nprintf '${content}' > '${state.path('temporal.db')}'\nprintf 'a log' > '${state.path('temporal.db-wal')}'\nexit 1\n`);
  chmodSync(path, 0o700);
  return () => Promise.resolve(path);
}

test('a database whose first start was cut off is made anew by the next command', async () => {
  await expect(state.acquire({ binary: cutOff() })).rejects.toThrow(NoTemporalServerError);
  expect(readFileSync(state.path('temporal.db'), 'utf8')).toBe('half a data');
  const server = await state.acquire();
  expect(server.startedByUs).toBe(true);
  expect(state.log.filter((line) => line.includes('made anew')).length).toBeGreaterThan(0);
  expect(readdirSync(state.directory).filter((name) => /unready|unfinished/.test(name))).toEqual([]);
});

test('a start that is cut off again and again leaves no more than one database aside', async () => {
  for (let time = 0; time < 2; time += 1) await expect(state.acquire({ binary: cutOff() })).rejects.toThrow(NoTemporalServerError);
  expect(readdirSync(state.directory).filter((name) => name.startsWith('temporal.db')).sort()).toEqual(['temporal.db', 'temporal.db-wal', 'temporal.db.unfinished', 'temporal.db.unfinished-wal', 'temporal.db.unready']);
  await state.acquire();
});

test('a start that left an empty database, as on a full disk, is begun anew as well', async () => {
  await expect(state.acquire({ binary: cutOff('') })).rejects.toThrow(NoTemporalServerError);
  expect(statSync(state.path('temporal.db')).size).toBe(0);
  await expect(state.acquire()).resolves.toMatchObject({ startedByUs: true });
});

test('a database that was ready once is never made anew, however it looks by now', async () => {
  const first = await state.acquire();
  await first.release();
  writeFileSync(state.path('temporal.db'), 'no database any more');
  for (const part of ['-wal', '-shm']) rmSync(state.path(`temporal.db${part}`), { force: true });
  await expect(state.acquire()).rejects.toThrow(NoTemporalServerError);
  expect(readFileSync(state.path('temporal.db'), 'utf8')).toBe('no database any more');
  expect(existsSync(state.path('temporal.db.unfinished'))).toBe(false);
});

test('a database of an earlier version, which knew no such note, is used as it is', async () => {
  const first = await state.acquire();
  await first.release();
  const second = await state.acquire();
  expect(second.clusterId).toBe(first.clusterId);
  expect(state.log.filter((line) => line.includes('made anew'))).toEqual([]);
});

test('a start that the next command completes is noted as ready by that one', async () => {
  const holder = await state.hold();
  await holder.kill();
  writeFileSync(state.path('temporal.db.unready'), '');
  state.writeRecord({ state: 'starting', clusterId: undefined });
  const next = await state.acquire({ binary: () => Promise.reject(new Error('a server was to be started')) });
  await next.release();
  expect(existsSync(state.path('temporal.db.unready'))).toBe(false);
  await expect(state.acquire({ binary: () => Promise.resolve(temporalBinary()) })).resolves.toMatchObject({ clusterId: holder.server.clusterId });
});
