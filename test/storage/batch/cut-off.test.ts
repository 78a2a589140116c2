import * as fs from 'node:fs';
import { join } from 'node:path';
import { StorageError } from '../../../src/storage/errors';
import { memoryFolder, useFolder } from '../../helpers/files';
import { withInterruption } from '../patched-fs';
import { codeOf } from '../operation';
import { Run } from './run';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder(memoryFolder);
const names = ['a', 'b', 'c'];

function makeSources(): string[] {
  return names.map((name) => {
    const path = join(folder(), name);
    fs.writeFileSync(path, `content of ${name}`);
    return path;
  });
}

const target = (name: string): string => join(folder(), 'backups', `${name}.backup`);
const lines = (run: Run, record: string): Record<string, unknown>[] => fs.readFileSync(join(run.directory, record), 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);

/** Nothing more is done then, as after a kill. */
function kill(): never {
  throw new StorageError('StagingRevoked', 'destination', '', 'killed');
}

describe.each([false, true])('a chunk of a batch, all or nothing: %s', (rollBack) => {
  test('that is cancelled while its files get their names is finished, and the record names all of them', () => {
    const run = new Run(folder(), rollBack);
    run.plan(makeSources());
    const task = run.attempt();
    const staged = run.stage(task);
    const report = withInterruption('linkSync', 2, () => run.control.cancel(), () => run.publish(task, staged));
    expect(report.counts).toEqual({ backedUp: 3, unchanged: 0, failed: 0 });
    expect(names.every((name) => fs.existsSync(target(name)))).toBe(true);
    expect(run.seal()).toMatchObject({ backedUp: 3, skipped: 0 });
  });

  test('that is cancelled before the first of them publishes nothing', () => {
    const run = new Run(folder(), rollBack);
    run.plan(makeSources());
    const task = run.attempt();
    const staged = run.stage(task);
    run.control.cancel();
    expect(codeOf(() => run.publish(task, staged))).toBe('Cancelled');
    expect(names.some((name) => fs.existsSync(target(name)))).toBe(false);
  });
});

test('of a run that was killed while its files got their names the record names those that are there; the next run copies them again', () => {
  const run = new Run(folder(), false);
  const sources = makeSources();
  run.plan(sources);
  const task = run.attempt();
  const staged = run.stage(task);
  expect(() => withInterruption('linkSync', 3, kill, () => run.publish(task, staged))).toThrow('killed');
  fs.writeFileSync(target('c'), 'of somebody else');
  expect(run.seal()).toMatchObject({ files: 3, backedUp: 2, skipped: 1 });
  expect(lines(run, 'manifest.ndjson').map(({ target: name, state }) => [name, state])).toEqual([['a.backup', 'backedUp'], ['b.backup', 'backedUp']]);
  expect(lines(run, 'failures.ndjson')).toMatchObject([{ target: 'c.backup', state: 'skipped' }]);
  const next = new Run(folder(), false);
  next.plan(sources);
  expect(next.run().counts).toEqual({ backedUp: 3, unchanged: 0, failed: 0 });
});

test('a target that somebody has replaced since is not named by the record', () => {
  const run = new Run(folder(), false);
  run.plan(makeSources());
  const task = run.attempt();
  const staged = run.stage(task);
  expect(() => withInterruption('linkSync', 3, kill, () => run.publish(task, staged))).toThrow('killed');
  fs.rmSync(target('a'));
  fs.writeFileSync(target('a'), 'of somebody else');
  expect(run.seal()).toMatchObject({ backedUp: 1, skipped: 2 });
});
