import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** Of all files together: a copy of one takes longer than a busy machine keeps a thread waiting. */
const TOTAL_BYTES = 60_000_000;
const LEAST_BYTES = 6_000_000;

const APPEND = `
const { appendFileSync } = require('node:fs');
const { workerData: { paths, state } } = require('node:worker_threads');
while (Atomics.load(state, 0) === 0) {
  for (const path of paths) appendFileSync(path, 'x');
  if (Atomics.exchange(state, 2, 1) === 0) Atomics.notify(state, 2);
}
Atomics.store(state, 1, 1);
Atomics.notify(state, 1);
`;

/**
 * Makes files large and keeps changing them, each of them many times while a copy of it is made, until it is stopped. In a
 * thread of its own, which has begun when this returns: what else the test does must not hold it up.
 * @returns stops it; nothing is changed afterwards
 */
export function keepChanging(paths: readonly (string | Buffer)[]): () => void {
  const content = Buffer.alloc(Math.max(LEAST_BYTES, Math.floor(TOTAL_BYTES / paths.length)), 'changing ');
  for (const path of paths) writeFileSync(path, content);
  const state = new Int32Array(new SharedArrayBuffer(12));
  new Worker(APPEND, { eval: true, workerData: { paths, state } }).unref();
  Atomics.wait(state, 2, 0);
  return () => {
    if (Atomics.exchange(state, 0, 1) === 0) Atomics.wait(state, 1, 0);
  };
}
