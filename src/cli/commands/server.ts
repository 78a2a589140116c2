import { flush } from '../../terminal';
import { serverCommand, wholeNumber } from '../options';
import { createOutput } from '../output';
import { openEmbeddedServer } from '../server-session';
import { onStopSignal } from '../../worker/stop-signal';

export const serverCommandLine = serverCommand('server')
  .description('keep the embedded Temporal server and its Web UI running until Ctrl-C')
  .option('--port <number>', 'port of the server', wholeNumber('--port', 1, 65_535))
  .option('--ui-port <number>', 'port of the Web UI', wholeNumber('--ui-port', 1, 65_535))
  .action(async (options) => {
    const output = createOutput(options.json);
    // From the start: whoever reads the addresses may stop it at once.
    const stopped = new Promise<void>((resolve) => void onStopSignal(() => resolve()));
    const server = await openEmbeddedServer(options, output, options);
    const { address } = server.connectionOptions;
    output.result('server', { address, webUi: server.webUiAddress }, [`Temporal server: ${address ?? ''}`, `Web UI:          ${server.webUiAddress ?? ''}`, 'Press Ctrl-C to stop.']);
    const alive = setInterval(() => undefined, 3_600_000);
    try {
      // Without its addresses nobody can use it.
      await flush();
      await stopped;
    } finally {
      clearInterval(alive);
      await server.release();
    }
  });
