import type { ConnectionLike } from '@temporalio/client';
import type { BackupClient, RunHandle } from '../client/backup-client';
import type { ServerPatience } from '../client/server-patience';
import type { Output } from './output';
import { isOver } from './wait';

/** A run that a command follows, and how. */
export interface Following<Result> {
  readonly client: BackupClient;
  readonly connection: ConnectionLike;
  readonly handle: RunHandle<Result>;
  readonly output: Output;
  /** Whether progress is drawn in place on a terminal. */
  readonly isDrawn: boolean;
  readonly patience: ServerPatience;
  /** When it is over for the command, whatever becomes of the run. */
  readonly signal: AbortSignal;
  /** The queue of the run, where its workers are not this process's own. */
  readonly foreignQueue: string | undefined;
}

/** What shows progress. */
export interface Display {
  /** For good: nothing is shown any more. */
  stop(): void;
}

const POLL_INTERVAL_MS = 500;

/** A server that is down says nothing at all: after so long a look at it is given up, and said. */
const LOOK_WITHIN_MS = 10_000;

/**
 * Looks at a run until it is over, and answers its record. A server that goes away meanwhile is waited for.
 * @param look answers what shows what it has seen, so that nothing is shown of a run that has ended meanwhile
 */
export async function followRun<Result>(following: Following<Result>, display: Display, look: () => Promise<(() => void) | undefined>): Promise<Result> {
  const { handle, patience, connection, signal } = following;
  let isEnded = false;
  const result = patience.during(() => handle.result()).finally(() => (isEnded = true));
  result.catch(() => undefined);
  const within = <Answer>(ask: () => Promise<Answer>): Promise<Answer> => patience.during(() => connection.withDeadline(Date.now() + LOOK_WITHIN_MS, ask));
  const stop = (): void => display.stop();
  signal.addEventListener('abort', stop);
  const queue = new QueueWatch(following);
  try {
    await within(() => queue.look());
    while (!signal.aborted && !(await isOver(result, POLL_INTERVAL_MS))) {
      const show = await within(look);
      if (!isEnded && !signal.aborted) show?.();
      await within(() => queue.look());
    }
    return await result;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

const LOOK_AT_QUEUE_EVERY_MS = 10_000;

/** Says when nobody is there to do the work, instead of waiting for ever. */
class QueueWatch {
  private lookedAtMs = -Infinity;
  private isPolled = true;

  constructor(private readonly following: Following<unknown>) {}

  async look(): Promise<void> {
    const { client, foreignQueue, output } = this.following;
    if (foreignQueue === undefined || performance.now() < this.lookedAtMs + LOOK_AT_QUEUE_EVERY_MS) return;
    const isPolled = await client.others.isPolled(foreignQueue);
    this.lookedAtMs = performance.now();
    if (this.isPolled && !isPolled) output.event('noWorker', { taskQueue: foreignQueue }, `No worker polls the queue ${foreignQueue}: the run waits until one comes (file-backup worker --task-queue ${foreignQueue})`);
    this.isPolled = isPolled;
  }
}
