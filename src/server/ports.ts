import { createServer } from 'node:net';
import { NoTemporalServerError } from './errors';

/** Where everything listens: reachable from this machine alone. */
export const LOOPBACK = '127.0.0.1';

/** Temporal's usual ports, which its tools try first. */
const USUAL = { port: 7233, uiPort: 8233 };

/** The ports of one server. */
export interface ServerPorts {
  readonly port: number;
  readonly uiPort: number;
  readonly apiPort: number;
}

/**
 * A port for each service: the one asked for, else the usual one where that is preferred and free, else any free one.
 * @throws NoTemporalServerError when a port that was asked for is taken
 */
export async function choosePorts(asked: { port?: number; uiPort?: number }, preferUsual: boolean): Promise<ServerPorts> {
  const [port, uiPort, apiPort] = await Promise.all([
    choosePort('port', asked.port, preferUsual),
    choosePort('uiPort', asked.uiPort, preferUsual),
    freePort(),
  ]);
  return { port, uiPort, apiPort };
}

async function choosePort(option: keyof typeof USUAL, asked: number | undefined, preferUsual: boolean): Promise<number> {
  if (asked === undefined) return (preferUsual ? await tryPort(USUAL[option]) : undefined) ?? (await freePort());
  const port = await tryPort(asked);
  if (port === undefined) {
    throw new NoTemporalServerError(`Port ${asked}, asked for with the option «${option}», is taken. Choose another, or leave the option out.`);
  }
  return port;
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const port = await tryPort(0);
  if (port === undefined) throw new NoTemporalServerError(`No port is free on ${LOOPBACK}. End programs that hold many ports.`);
  return port;
}

/** The port when it can be listened on (0: any), undefined when it is taken. */
function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error: NodeJS.ErrnoException) => {
      // EACCES: ports that are reserved for the administrator are as good as taken.
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen(port, LOOPBACK, () => {
      const bound = server.address();
      server.close(() => resolve(bound && typeof bound === 'object' ? bound.port : undefined));
    });
  });
}
