import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { screenOf, type Screen } from '../helpers/screen';
import { COMMAND, createWorkplace, onTestServer, startProcess, type Workplace } from './run-command';

jest.setTimeout(180_000);

/** Terminals of one's own are Python's to make here. */
const hasTerminals = spawnSync('python3', ['-c', 'import pty']).status === 0;
const inTerminal = hasTerminals ? test : test.skip;

const HIDES_CURSOR = '\u001b[?25l';
const LARGE_BYTES = 1024 ** 3;

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
  mkdirSync(place.path('source'));
  for (const name of ['source/large', 'large']) {
    writeFileSync(place.path(name), '');
    truncateSync(place.path(name), LARGE_BYTES);
  }
});

afterEach(() => place.remove());

interface TerminalEnd {
  readonly written: string;
  readonly code: number | null;
  readonly signal: number | null;
}

/** @param action the name of a signal, or the number of a key's character, once the progress is drawn */
async function run(args: readonly string[], action: string, env: Record<string, string> = {}): Promise<TerminalEnd & { readonly screen: Screen }> {
  const helper = resolve(__dirname, '../helpers/in-terminal.py');
  const { stdout, stderr } = await startProcess('python3', [helper, HIDES_CURSOR, action, process.execPath, COMMAND, ...args], { cwd: place.directory, env: { ...process.env, ...onTestServer(), FILE_BACKUP_STATE_DIR: place.stateDirectory, ...env } }).end;
  expect(stderr).toBe('');
  const end = JSON.parse(stdout) as TerminalEnd;
  expect(end.written).toContain(HIDES_CURSOR);
  return { ...end, screen: screenOf(end.written) };
}

const restored = { isCursorHidden: false, isWrappingOff: false };

const commands: readonly (readonly [string, readonly string[]])[] = [
  ['file', ['file', 'large', 'copy', '--no-verify']],
  ['batch', ['batch', 'large', '--to', 'copies', '--no-verify']],
];

inTerminal.each(commands)('Ctrl-C leaves a terminal in order, and the message on a line of its own: %s', async (_name, args) => {
  const { code, screen } = await run(args, '3');
  expect(code).toBe(130);
  expect(screen).toMatchObject(restored);
  expect(screen.lines.filter((line) => line !== '')).toEqual([expect.stringMatching(/^Interrupted\. Operation [0-9a-f-]{36} is not finished: the same command continues it\.$/)]);
});

inTerminal.each(['SIGTERM', 'SIGHUP'])('so does %s', async (signal) => {
  const { code, screen } = await run(['file', 'large', 'copy', '--no-verify'], signal);
  expect({ code, screen }).toMatchObject({ code: 130, screen: restored });
});

inTerminal('so does the signal that ends a process without asking it', async () => {
  const { signal, screen } = await run(['file', 'large', 'copy', '--no-verify'], 'SIGQUIT');
  expect({ signal, screen }).toMatchObject({ signal: 3, screen: { ...restored, lines: [''] } });
});

inTerminal('so does Ctrl-Z, and progress is drawn again when the command goes on', async () => {
  // Where there is no shell to bring it back, a process that stops itself goes on at once.
  const { code, written, screen } = await run(['file', 'large', 'copy', '--no-verify'], '26');
  expect(written.split(HIDES_CURSOR).length).toBeGreaterThan(2);
  expect(written.split(HIDES_CURSOR)[1]).toContain('\u001b[?25h');
  expect({ code, screen }).toMatchObject({ code: 0, screen: restored });
});

inTerminal('so does an error that nobody has caught, which is said on a line of its own', async () => {
  writeFileSync(place.path('throw.cjs'), "const timer = setInterval(() => { if (process.listenerCount('SIGTSTP') > 0) { clearInterval(timer); throw new Error('Something unforeseen'); } }, 10); timer.unref();");
  const { code, screen } = await run(['file', 'large', 'copy', '--no-verify'], '', { NODE_OPTIONS: `--require ${place.path('throw.cjs')}` });
  expect(code).toBe(1);
  expect(screen).toMatchObject(restored);
  expect(screen.lines.filter((line) => line !== '')).toEqual(['file-backup: Something unforeseen']);
});

inTerminal('so does the end of a backup, and of a check that is ended by a signal', async () => {
  const { code, screen } = await run(['file', 'large', 'copy', '--no-verify'], '');
  expect({ code, screen }).toMatchObject({ code: 0, screen: restored });
  expect(screen.lines[0]).toMatch(/^Backed up /);

  expect((await place.run(['init', 'repository'])).code).toBe(0);
  expect((await place.run(['snapshot', 'source', '--to', 'repository', '--no-verify'], { env: onTestServer() })).code).toBe(0);
  const checked = await run(['check', 'repository', '--read-data'], 'SIGTERM');
  expect(checked).toMatchObject({ signal: 15, screen: restored });
});
