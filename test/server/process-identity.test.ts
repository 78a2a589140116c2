import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identifyProcess, isAlive, ownIdentity, parseIdentity } from '../../src/server/process-identity';

const onLinux = process.platform === 'linux' ? test : test.skip;

test('this process is alive and is always the same', () => {
  expect(ownIdentity()).toEqual(ownIdentity());
  expect(ownIdentity().pid).toBe(process.pid);
  expect(isAlive(ownIdentity())).toBe(true);
});

test('another process under a recycled pid is not the one that had it before', () => {
  expect(isAlive({ pid: process.pid, startedAt: 'before' })).toBe(false);
});

test('a process that has ended is not alive', async () => {
  const child = spawn('sh', ['-c', 'read -r _'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const identity = identifyProcess(child.pid!);
  expect(identity && isAlive(identity)).toBe(true);
  child.stdin.end();
  await once(child, 'exit');
  expect(identity && isAlive(identity)).toBe(false);
});

onLinux('a process that is killed, and that its parent has not waited for, is not alive', async () => {
  // It is tail that prints the pid: once it runs, no shell is left that would wait for the background process,
  // which stays a zombie until its parent ends.
  const folder = mkdtempSync(join(tmpdir(), 'zombie-'));
  const parent = spawn('sh', ['-c', 'sleep 600 & echo $! > "$0"; exec tail -f "$0"', join(folder, 'pid')], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const identity = identifyProcess(Number(line.toString()))!;
    process.kill(identity.pid, 'SIGKILL');
    while (!readFileSync(`/proc/${identity.pid}/stat`, 'utf8').includes(') Z ')) await new Promise(setImmediate);
    expect(isAlive(identity)).toBe(false);
  } finally {
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    rmSync(folder, { recursive: true });
  }
});

test.each([undefined, 'no JSON', '[]', '{}', '{"pid":0,"startedAt":"x"}', '{"pid":"1","startedAt":"x"}', '{"pid":1}'])('%p is no identity', (value) => {
  expect(parseIdentity(value)).toBeUndefined();
});
