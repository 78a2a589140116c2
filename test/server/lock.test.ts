import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type * as FileSystem from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withLock } from '../../src/server/lock';
import { ownIdentity, parseIdentity } from '../../src/server/process-identity';

// A copy whose functions can be replaced, for the one moment that no two real processes meet reliably.
jest.mock('node:fs', () => ({ ...jest.requireActual<typeof FileSystem>('node:fs') }));
const fs = jest.requireMock<typeof FileSystem>('node:fs');
const { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } = fs;

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-backup-lock-'));
  lock = join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const dead = { pid: process.pid, startedAt: 'before' };
const take = (): Promise<string> => withLock(lock, () => Promise.resolve('taken'));

test('the lock is free again afterwards, whether the action succeeds or fails', async () => {
  await expect(withLock(lock, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(take()).resolves.toBe('taken');
  expect(readdirSync(folder)).toEqual([]);
});

test('actions run one after the other', async () => {
  const events: string[] = [];
  const action = (name: string) => async (): Promise<void> => {
    events.push(`${name} begins`);
    await new Promise(setImmediate);
    events.push(`${name} ends`);
  };
  await Promise.all([withLock(lock, action('a')), withLock(lock, action('b'))]);
  expect(events).toHaveLength(4);
  expect(events[1]).toBe(events[0]!.replace('begins', 'ends'));
  expect(events[3]).toBe(events[2]!.replace('begins', 'ends'));
});

test('a live holder is waited for', async () => {
  writeFileSync(lock, JSON.stringify({ ...ownIdentity(), nonce: 'live' }));
  let holderPid: number | undefined;
  await withLock(lock, () => Promise.resolve(), (pid) => {
    holderPid = pid;
    rmSync(lock);
  });
  expect(holderPid).toBe(process.pid);
});

test.each([
  ['a dead holder', JSON.stringify({ ...dead, nonce: 'first' })],
  ['a holder that a power cut made unreadable', ''],
])('%s is succeeded, and nothing is left behind', async (_title, content) => {
  writeFileSync(lock, content);
  await expect(take()).resolves.toBe('taken');
  expect(readdirSync(folder)).toEqual([]);
});

test('a successor holds the lock in its own name', async () => {
  writeFileSync(lock, JSON.stringify({ ...dead, nonce: 'first' }));
  const holder = await withLock(lock, () => Promise.resolve(parseIdentity(readFileSync(lock, 'utf8'))));
  expect(holder).toEqual(ownIdentity());
});

test('a slow successor gives way to one that has succeeded the same dead holder meanwhile', async () => {
  writeFileSync(lock, JSON.stringify({ ...dead, nonce: 'first' }));
  const link = fs.linkSync;
  const spy = jest.spyOn(fs, 'linkSync').mockImplementation((ticket, place) => {
    if (place === `${lock}.after-first`) writeFileSync(lock, JSON.stringify({ ...ownIdentity(), nonce: 'faster' }));
    link(ticket, place);
  });
  let waitedFor: string | undefined;
  await withLock(lock, () => Promise.resolve(), () => {
    waitedFor = readFileSync(lock, 'utf8');
    rmSync(lock);
  });
  spy.mockRestore();
  expect(waitedFor).toContain('faster');
  expect(readdirSync(folder)).toEqual([]);
});

test('a dead holder whose successor died as well is succeeded', async () => {
  writeFileSync(lock, JSON.stringify({ ...dead, nonce: 'first' }));
  writeFileSync(`${lock}.after-first`, JSON.stringify({ ...dead, nonce: 'second' }));
  await expect(take()).resolves.toBe('taken');
  expect(readdirSync(folder)).toEqual([]);
});

test('processes that die while they hold the lock never let two in at once', async () => {
  writeFileSync(lock, JSON.stringify({ ...dead, nonce: 'first' }));
  const turns = 25;
  const contenders = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['-r', join(__dirname, 'typescript-hook.cjs'), join(__dirname, 'lock-contender.ts'), lock, String(turns)], { stdio: ['pipe', 'ignore', 'inherit'] }),
  );
  const ends = contenders.map((contender) => once(contender, 'exit'));
  for (const contender of contenders) contender.stdin.write('go\n');
  for (const end of ends) expect(await end).toEqual([null, 'SIGKILL']);
  expect(readFileSync(`${lock}.turns`, 'utf8').trim().split('\n')).toHaveLength(4 * turns);
  await expect(take()).resolves.toBe('taken');
});
