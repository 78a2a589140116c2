import { createServer } from 'node:net';

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks again until the answer is yes. */
export async function until(isSo, withinMs) {
  for (const endMs = performance.now() + withinMs; performance.now() < endMs; ) {
    if (await isSo()) return;
    await pause(100);
  }
  throw new Error(`Waited ${withinMs} ms in vain`);
}

/** A port that nobody listens on. */
export function readFreePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
