import { createWorkplace, jsonLines, until, type Workplace } from './run-command';

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
});

afterEach(() => place.remove());

test.each(['SIGINT', 'SIGTERM'] as const)('the server prints its addresses, is shared with other commands, and ends on %s', async (signal) => {
  const server = place.start(['server']);
  await until(() => server.printed().includes('Press Ctrl-C'), 'the server is ready');
  const address = /^Temporal server: (127\.0\.0\.1:\d+)$/m.exec(server.printed())?.[1];
  const webUi = /^Web UI: +(http:\/\/127\.0\.0\.1:\d+)$/m.exec(server.printed())?.[1];
  expect(address).toBeDefined();
  expect((await fetch(webUi ?? '')).status).toBe(200);

  const other = await place.run(['server', '--port', '1', '--json']);
  expect(other.code).toBe(20);
  expect(other.stderr).toContain(`already uses ${String(address?.split(':')[1])}`);
  expect((await place.run(['runs'])).code).toBe(0);

  server.child.kill(signal);
  expect(await server.end).toMatchObject({ code: 0, stderr: '' });
  await place.serverEnd();
});

test('with --json the addresses are an object', async () => {
  const server = place.start(['server', '--json']);
  await until(() => server.printed().includes('\n'), 'the server is ready');
  expect(jsonLines(server.printed())).toEqual([{ messageType: 'server', address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string, webUi: expect.stringMatching(/^http:/) as string }]);
  server.child.kill('SIGINT');
  expect((await server.end).code).toBe(0);
});
