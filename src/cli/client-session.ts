import { hostname } from 'node:os';
import type { BackupClient } from '../client/backup-client';
import { hostTaskQueue } from '../core/names';
import { connectTo } from './connect';
import type { ServerOptions } from './options';
import { createOutput, type Output } from './output';
import { openServer, type ServerSession } from './server-session';

/** Runs a command that only asks or tells the server something: no worker. */
export async function withClient(options: ServerOptions, run: (client: BackupClient, output: Output, server: ServerSession) => Promise<void>, taskQueue = hostTaskQueue(hostname())): Promise<void> {
  const output = createOutput(options.json);
  const server = await openServer(options, output);
  try {
    const { BackupClient: Client } = await import('../client/backup-client.js');
    const { Connection } = await import('@temporalio/client');
    const connection = await connectTo(server, (connectionOptions) => Connection.connect(connectionOptions));
    const client = new Client({ connection, namespace: server.namespace, taskQueue, storage: hostTaskQueue(hostname()), payloadKeys: server.payloadKeys });
    try {
      await run(client, output, server);
    } finally {
      await client.close();
    }
  } finally {
    await server.release();
  }
}
