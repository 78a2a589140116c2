import { choosePayloadKeys } from '../../keys/choose-keys';
import { codecToken, tokenFileOf } from '../../keys/key-file';
import { startCodecServer, type CodecServer, type CodecServerOptions } from '../../codec/codec-server';
import { requireTrustedState } from '../../server/state-files';
import { flush } from '../../terminal';
import { onStopSignal } from '../../worker/stop-signal';
import { UsageError } from '../exit-codes';
import { repeated, serverCommand, wholeNumber, type ServerOptions } from '../options';
import { createOutput, type Output } from '../output';
import { openServer, stateDirectoryOf } from '../server-session';

/** Beside the usual one of the Web UI. */
const DEFAULT_PORT = 8234;

export const codecServerCommand = serverCommand('codec-server')
  .description('show the owner of the key in the Web UI what payloads say, until Ctrl-C')
  .option('--port <number>', 'port to listen on, on 127.0.0.1', wholeNumber('--port', 1, 65_535), DEFAULT_PORT)
  .option('--ui-origin <origin>', 'Web UI that may ask, such as http://127.0.0.1:8233; may be repeated; else that of the server in use', repeated, [])
  .action(async (options) => {
    const output = createOutput(options.json);
    const stopped = new Promise<void>((resolve) => void onStopSignal(() => resolve()));
    const stateDirectory = stateDirectoryOf(options);
    requireTrustedState(stateDirectory);
    const keys = choosePayloadKeys({ keyFile: options.payloadKey, stateDirectory });
    if (keys === undefined) throw new UsageError('Without a key there is nothing to open: payloads are readable as they are. Leave --payload-key none out, or name a key file');
    const ui = await openUi(options, output);
    try {
      const server = await listen({ port: options.port, uiOrigins: ui.origins, keys, token: codecToken(stateDirectory) });
      report(server, ui.origins, tokenFileOf(stateDirectory), output);
      try {
        await flush();
        await stopped;
      } finally {
        await server.close();
      }
    } finally {
      await ui.release();
    }
  });

/** The Web UIs that were named; else that of the server, which is kept for as long as this runs if it is an embedded one. */
async function openUi({ uiOrigin, ...options }: ServerOptions & { readonly uiOrigin: readonly string[] }, output: Output): Promise<{ origins: string[]; release(): Promise<void> }> {
  if (uiOrigin.length > 0) return { origins: uiOrigin.map(originOf), release: () => Promise.resolve() };
  const server = await openServer(options, output);
  if (server.webUiAddress === undefined) throw new UsageError('Whose payloads are to be shown where is not known: name the Web UI of the server with --ui-origin');
  return { origins: [originOf(server.webUiAddress)], release: () => server.release() };
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) throw new UsageError(`--ui-origin must be the address of a Web UI, such as http://127.0.0.1:8233, not "${text}"`);
  return url.origin;
}

async function listen(options: CodecServerOptions): Promise<CodecServer> {
  try {
    return await startCodecServer(options);
  } catch (error) {
    if (!['EADDRINUSE', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    throw new UsageError(`Port ${options.port} is taken: choose another with --port`);
  }
}

function report({ endpoint, link }: CodecServer, uiOrigins: readonly string[], tokenFile: string, output: Output): void {
  output.result('codecServer', { endpoint, link, uiOrigins, tokenFile }, [
    `Codec endpoint: ${endpoint}`,
    `For:            ${uiOrigins.join(', ')}`,
    `Token:          in ${tokenFile}`,
    'Open this once, in the browser that shows the Web UI:',
    `  ${link}`,
    'Then name the endpoint in the Web UI, and let it include cross-origin credentials.',
    'Press Ctrl-C to stop.',
  ]);
}
