import { setTimeout as delay } from 'node:timers/promises';
import { readClusterId, readNamespace, type NamespaceState } from './api';
import { isAlive } from './process-identity';
import type { ServerRecord } from './record';

const POLL_MS = 10;
const START_WITHIN_MS = 30_000;
const ANSWER_WITHIN_MS = 10_000;

/** A server that takes requests. */
export interface ReadyServer {
  readonly clusterId: string;
  readonly namespace: NamespaceState;
}

/**
 * Waits until a server that was just spawned serves its namespace with every search attribute: before that, a
 * workflow that sets one would be refused for good. Then its gRPC service takes requests too.
 * @throws Error when the process ends first or takes too long
 */
export async function untilReady(record: ServerRecord, searchAttributes: readonly string[]): Promise<ReadyServer> {
  return poll(record, START_WITHIN_MS, async () => {
    const namespace = await readNamespace(record.apiAddress);
    if (!namespace || !searchAttributes.every((name) => namespace.searchAttributes.includes(name))) return undefined;
    const clusterId = await readClusterId(record.apiAddress);
    return clusterId === undefined ? undefined : { clusterId, namespace };
  });
}

/** The id of the cluster that answers where the record says. @throws Error when the process ends or stays silent */
export async function untilAnswer(record: ServerRecord): Promise<string> {
  return poll(record, ANSWER_WITHIN_MS, () => readClusterId(record.apiAddress));
}

async function poll<Found>(record: ServerRecord, limitMs: number, look: () => Promise<Found | undefined>): Promise<Found> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    // After the look: what a process that has ended left to answer on its ports is not its answer.
    if (!isAlive(record.process)) throw new Error(`process ${record.process.pid} has ended`);
    if (found !== undefined) return found;
    if (Date.now() >= deadline) throw new Error(`process ${record.process.pid} does not answer after ${limitMs / 1000} s`);
    await delay(POLL_MS);
  }
}
