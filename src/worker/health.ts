import { createServer, type Server } from 'node:http';
import { once } from 'node:events';

/** What is asked about a worker. Neither question may throw. */
export interface Health {
  /** Whether the process does its work: where it does not, restarting it helps. */
  readonly isLive: () => boolean;
  /** Whether the server answers it as well: where it does not, restarting the worker is of no use. */
  readonly isReady: () => Promise<boolean>;
}

/**
 * Answers `GET /livez` (and `/healthz`, its earlier name) and `GET /readyz` on a loopback port: 200, or 503 with a line that
 * says why. @throws errors of listening, such as `EADDRINUSE`
 */
export async function serveHealth(port: number, health: Health): Promise<Server> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '', health).then(([status, text]) => response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function answer(path: string, { isLive, isReady }: Health): Promise<readonly [number, string]> {
  if (!['/livez', '/healthz', '/readyz'].includes(path)) return [404, 'ask for /livez or /readyz'];
  if (!isLive()) return [503, 'the worker does not run'];
  if (path !== '/readyz') return [200, 'live'];
  return (await isReady()) ? [200, 'ready'] : [503, 'the Temporal server does not answer'];
}
