import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { TransferControl } from '../../src/storage/control';

const CONTROL = resolve(__dirname, '../../lib/storage/control.js');

/** A thread that waits for so many syncs, and its answers. */
function threadThatSyncs(control: TransferControl, times: number): Promise<boolean[]> {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { TransferControl } = require(workerData.path);
    const control = new TransferControl(workerData.memory);
    parentPort.postMessage(Array.from({ length: workerData.times }, () => control.awaitSync()));`;
  const thread = new Worker(code, { eval: true, workerData: { path: CONTROL, memory: control.memory, times } });
  return new Promise((onMessage, onError) => {
    thread.once('message', onMessage);
    thread.once('error', onError);
  });
}

test('a thread waits for each sync that it asks for, and learns how it ended', async () => {
  const control = new TransferControl();
  const answers = threadThatSyncs(control, 3);
  const phases: string[] = [];
  const sync = (): Promise<void> => {
    phases.push(control.phase);
    return phases.length === 2 ? Promise.reject(new Error('EIO')) : Promise.resolve();
  };
  await Promise.all([control.serveSyncs(sync, answers), answers]);
  expect(await answers).toEqual([true, false, true]);
  expect(phases).toEqual(['sync', 'sync', 'sync']);
  expect(control.phase).toBe('idle');
});

test('serving ends with the step, also when nobody asked and when the step failed', async () => {
  const control = new TransferControl();
  const sync = jest.fn(() => Promise.resolve());
  await control.serveSyncs(sync, Promise.resolve());
  await control.serveSyncs(sync, Promise.reject(new Error('the thread ended')));
  expect(sync).not.toHaveBeenCalled();
});
