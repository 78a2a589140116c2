import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorkplace, jsonLines, onTestServer, type CommandEnd } from './run-command';

const place = createWorkplace();
afterAll(() => place.remove());
jest.setTimeout(120_000);

interface Kind {
  readonly args: readonly string[];
  readonly prepare: () => void;
  /** Changes what the command is about. */
  readonly change: (content: string) => void;
  /** What the command has left of it. */
  readonly found: () => string;
}

const source = (): string => place.path('source', 'file');
const changeSource = (content: string): void => {
  mkdirSync(place.path('source'), { recursive: true });
  writeFileSync(source(), content);
};
const snapshots = (): string[] => readdirSync(place.path('repository')).filter((name) => !name.startsWith('.')).sort();
const newest = (): string => place.path('repository', snapshots().at(-1) ?? 'none', 'data', source());

const kinds: Readonly<Record<string, Kind>> = {
  file: { args: ['file', 'source/file', 'out/target'], prepare: () => undefined, change: changeSource, found: () => readFileSync(place.path('out', 'target'), 'utf8') },
  batch: { args: ['batch', 'source/file', '--to', 'backups'], prepare: () => undefined, change: changeSource, found: () => readFileSync(place.path('backups', 'file.backup'), 'utf8') },
  snapshot: { args: ['snapshot', 'source', '--to', 'repository'], prepare: () => undefined, change: changeSource, found: () => readFileSync(newest(), 'utf8') },
  // What is restored is the same each time: it has to be there.
  restore: {
    args: ['restore', 'repository', 'latest', '--to', 'restored'],
    prepare: () => mkdirSync(place.path('restored')),
    change: () => rmSync(place.path('restored', source()), { force: true }),
    found: () => (existsSync(place.path('restored', source())) ? 'there again' : 'gone'),
  },
};

beforeAll(async () => {
  changeSource('first');
  expect(await place.run(['init', 'repository'])).toMatchObject({ code: 0 });
});

function backUp({ args }: Kind): Promise<CommandEnd> {
  return place.run([...args, '--json'], { env: onTestServer() });
}

/** As an operator does it, with Temporal's own command. */
function reset(workflowId: string, ...point: readonly string[]): void {
  const { TEST_TEMPORAL_CLI: temporal = 'temporal', TEST_TEMPORAL_ADDRESS: address = '' } = process.env;
  execFileSync(temporal, ['workflow', 'reset', '--address', address, '--workflow-id', workflowId, '--reason', 'a test', ...point], { stdio: 'ignore', env: { HOME: join(place.stateDirectory, '..') } });
}

test.each(Object.keys(kinds).flatMap((kind) => ['FirstWorkflowTask', 'LastWorkflowTask'].map((type) => [kind, type] as const)))(
  'after a finished %s was reset (%s) the same command does what it says, and says what it has done',
  async (name, type) => {
    const kind = kinds[name]!;
    if (!existsSync(place.path('restored'))) kind.prepare();
    kind.change('as it was');
    const earlier = await backUp(kind);
    expect(earlier).toMatchObject({ code: 0 });
    const { workflowId, runId } = jsonLines(earlier.stdout).at(-1) as { workflowId: string; runId: string };
    kind.change('there again');
    reset(workflowId, '--run-id', runId, '--type', type);
    const { code, stdout, stderr } = await backUp(kind);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(kind.found()).toBe('there again');
    const result = jsonLines(stdout).at(-1);
    expect(result).toMatchObject({ messageType: 'result', success: true });
    expect(result?.runId).not.toBe(runId);
    expect(stderr).toContain('was reset');
  },
);

test('a file that is reset twice, in the middle and at its beginning, before the same command comes', async () => {
  const kind = kinds.file!;
  kind.change('as it was');
  const { workflowId, runId } = jsonLines((await backUp(kind)).stdout).at(-1) as { workflowId: string; runId: string };
  kind.change('as it is');
  reset(workflowId, '--run-id', runId, '--event-id', '16');
  reset(workflowId, '--type', 'FirstWorkflowTask');
  expect(await backUp(kind)).toMatchObject({ code: 0 });
  expect(kind.found()).toBe('as it is');
});
