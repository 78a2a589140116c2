import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PayloadKeys, Secret } from '../keys/payload-keys';
import { createAccess, type Access } from './access';
import { decodeBody } from './decode-body';

const LOOPBACK = '127.0.0.1';

/** Temporal's own messages have 4 MiB at most; the Web UI asks for those of a page of events at a time. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;

export interface CodecServerOptions {
  /** On 127.0.0.1; 0 for any that is free. */
  readonly port: number;
  /** Web UIs that may ask, as browsers write origins. */
  readonly uiOrigins: readonly string[];
  readonly keys: PayloadKeys;
  readonly token: Secret;
}

/** Opens payloads for their owner, who looks at them in the Web UI. */
export interface CodecServer {
  /** What the Web UI has to be told. */
  readonly endpoint: string;
  /** Lets the browser in that follows it first. */
  readonly link: string;
  close(): Promise<void>;
}

/**
 * Serves Temporal's remote codec protocol on loopback, for reading only: `POST /decode`. There is no `/encode`: whoever
 * has the token would make the key sign what he likes.
 * @throws Error of the operating system when the port is taken
 */
export async function startCodecServer({ port, uiOrigins, keys, token }: CodecServerOptions): Promise<CodecServer> {
  const access = createAccess({ token: token.toString('hex'), uiOrigins });
  const server = createServer((request, response) => {
    answer(request, response, access, keys).catch(() => end(request, response, 400));
  });
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  // A cookie goes to requests of pages of the same host name only, whatever their port.
  const name = uiOrigins.map((origin) => new URL(origin).hostname).find((each) => each === 'localhost') === undefined ? LOOPBACK : 'localhost';
  const endpoint = `http://${name}:${(server.address() as AddressInfo).port}`;
  return {
    endpoint,
    link: `${endpoint}/open?code=${access.code}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, access: Access, keys: PayloadKeys): Promise<void> {
  response.setHeaders(new Map([['Cache-Control', 'no-store'], ['Vary', 'Origin'], ['X-Content-Type-Options', 'nosniff'], ['Referrer-Policy', 'no-referrer']]));
  if (!access.isFromHere(request)) return end(request, response, 401);
  const { method, headers: { origin } } = request;
  if (origin !== undefined) response.setHeaders(new Map([['Access-Control-Allow-Origin', origin], ['Access-Control-Allow-Credentials', 'true']]));
  if (method === 'OPTIONS' && origin !== undefined) return end(request, response, 204, { 'Access-Control-Allow-Methods': 'POST', 'Access-Control-Allow-Headers': 'Authorization, Authorization-Extras, Content-Type, X-Namespace' });
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  if (method === 'GET' && pathname === '/open') return open(request, response, access.admit(searchParams.get('code') ?? ''));
  if (!access.isAllowed(request)) return end(request, response, 401);
  if (method !== 'POST' || pathname !== '/decode') return end(request, response, 404);
  const body = await bodyOf(request);
  if (body === undefined) return end(request, response, 413);
  const namespace = request.headers['x-namespace'];
  const text = decodeBody(body, typeof namespace === 'string' ? namespace : undefined, keys);
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(text);
}

function open(request: IncomingMessage, response: ServerResponse, cookie: string | undefined): void {
  if (cookie === undefined) return end(request, response, 401);
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Set-Cookie': cookie });
  response.end('This browser may read payloads now. Name the codec endpoint in the Web UI, and let it include cross-origin credentials.\n');
}

/** The text of a body; undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Without content, and without reading what was not read yet. */
function end(request: IncomingMessage, response: ServerResponse, status: number, headers: OutgoingHttpHeaders = {}): void {
  if (response.headersSent) return;
  response.writeHead(status, { ...headers, 'Content-Length': 0, ...(request.complete ? {} : { Connection: 'close' }) }).end();
}
