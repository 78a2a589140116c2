import type { Client } from '@temporalio/client';

/** How long a worker that polls a queue may be silent: the server answers each poll within a minute. */
const POLLED_WITHIN_MS = 75_000;

/** `TASK_QUEUE_TYPE_WORKFLOW` */
const WORKFLOW_TASKS = 1;

/** Whether a worker polls a queue for runs. One that was killed is remembered by the server for a minute or so. */
export async function isPolled(client: Client, taskQueue: string): Promise<boolean> {
  const { namespace } = client.options;
  const { pollers } = await client.workflowService.describeTaskQueue({ namespace, taskQueue: { name: taskQueue }, taskQueueType: WORKFLOW_TASKS });
  return (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1000 > Date.now() - POLLED_WITHIN_MS);
}

/** The same, asked once for each queue. */
export function pollerLook(client: Client): (taskQueue: string) => Promise<boolean> {
  const looks = new Map<string, Promise<boolean>>();
  return (taskQueue) => {
    const look = looks.get(taskQueue) ?? isPolled(client, taskQueue);
    looks.set(taskQueue, look);
    return look;
  };
}
