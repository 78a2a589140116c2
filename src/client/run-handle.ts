import type { Client } from '@temporalio/client';
import type { z } from 'zod';
import type { FailureType } from '../failures';
import type { RunHandle } from './client-types';
import { outputOf } from './output-of';
import type { RecordSchema } from './read-output';
import type { StartedRun } from './start-run';

/**
 * Starts a run, or attaches to one. What that comes to is an answer to this request unless it was reset: then it is waited
 * for, and the request gets a run of its own.
 * @param start starts or attaches
 * @param withoutRecord builds the record of a run of which no more is known than that it failed
 */
export async function handleOf<Schema extends RecordSchema>(client: Client, start: () => Promise<StartedRun>, schema: Schema, withoutRecord: (operationId: string, errorCode: FailureType, message: string) => z.output<Schema>): Promise<RunHandle<z.output<Schema>>> {
  const run = await start();
  const output = () => outputOf(client, handle, schema, (errorCode, message) => withoutRecord(handle.operationId, errorCode, message));
  const handle = {
    ...run,
    result: async () => {
      while (handle.isOutdated) {
        await output();
        Object.assign(handle, await start());
      }
      return output();
    },
  };
  return handle;
}
