import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { createWorkplace, jsonLines, type CommandEnd, type Workplace } from './run-command';

let place: Workplace;
const repository = (): string => place.path('repository');

beforeAll(() => {
  place = createWorkplace();
  initRepository(repository());
  for (const name of ['data', 'real/cache/big', 'real/sub/cache/big', 'real/cache2']) {
    fs.mkdirSync(join(place.path(name), '..'), { recursive: true });
    fs.writeFileSync(place.path(name), 'x'.repeat(100));
  }
  fs.symlinkSync('real', place.path('link'));
  fs.symlinkSync(place.path('real/sub'), place.path('to-sub'));
  fs.writeFileSync(place.path('patterns'), `never-there\n${place.path('link/cache')}\n`);
});

afterAll(() => place.remove());

const preview = (...args: string[]): Promise<CommandEnd> => place.run(['snapshot', ...args, '--to', repository(), '--dry-run', '--verbose']);

/** Files that would be copied, below the source's real path. */
function filesOf({ stdout, stderr }: CommandEnd): string[] {
  return [...`${stdout}\n${stderr}`.matchAll(/^new (\S+), \d+ bytes$/gm)].map(([, path = '']) => path.slice(place.path('real').length + 1)).sort();
}

describe('an exclude that is typed as its source is typed means that place:', () => {
  test.each([
    ['relative', 'real', 'real/cache', ['cache2', 'sub/cache/big']],
    ['relative, with dots', './real', 'real/cache/', ['cache2', 'sub/cache/big']],
    ['relative, the exclude with dots', 'real', './real/cache', ['cache2', 'sub/cache/big']],
    ['through a link', 'link', 'link/cache', ['cache2', 'sub/cache/big']],
    ['through a link, with a slash', 'link/', 'link/cache', ['cache2', 'sub/cache/big']],
    ['through a link, in full', 'LINK', 'LINK/cache', ['cache2', 'sub/cache/big']],
    ['the source as it is, the exclude through a link', 'REAL', 'LINK/cache', ['cache2', 'sub/cache/big']],
    ['through another link', 'real', 'TO-SUB/cache', ['cache/big', 'cache2']],
    ['with a pattern behind', 'link', 'link/ca*', ['sub/cache/big']],
    ['with a pattern behind, through another link', 'real', 'LINK/*2', ['cache/big', 'sub/cache/big']],
    ['a pattern that is none of these is one for all depths', 'real', 'cache', ['cache2']],
    ['a pattern from the top of the source', 'link', '/cache', ['cache2', 'sub/cache/big']],
  ])('%s', async (_how, typed, pattern, expected) => {
    const full = (text: string): string => text.replace('LINK', place.path('link')).replace('REAL', place.path('real')).replace('TO-SUB', place.path('to-sub'));
    const end = await preview(full(typed), '--exclude', full(pattern));
    expect({ code: end.code, files: filesOf(end) }).toEqual({ code: 0, files: expected });
    expect(end.stderr).not.toContain('Left nothing out');
  });

  test('also in the working directory, and to take something in again', async () => {
    const args = ['snapshot', '.', '--to', repository(), '--dry-run', '--verbose'];
    expect(filesOf(await place.run([...args, '--exclude', './cache'], { cwd: place.path('real') }))).toEqual(['cache2', 'sub/cache/big']);
    expect(filesOf(await place.run([...args, '--exclude', 'cache*', '--exclude', '!./cache2'], { cwd: place.path('link') }))).toEqual(['cache2']);
  });

  test('also as a full path in a file of patterns, of which nothing is said when others find nothing', async () => {
    const end = await preview('real', '--exclude-file', place.path('patterns'));
    expect(filesOf(end)).toEqual(['cache2', 'sub/cache/big']);
    expect(end.stderr).not.toContain('Left nothing out');
  });
});

test('a pattern that leaves nothing out is said once, by a preview and by a run', async () => {
  const args = ['--exclude', 'raal/cache', '--exclude', 'cache', '--exclude', '!never', '--exclude-file', place.path('patterns')];
  const said = ({ stderr }: CommandEnd): string[] => stderr.split('\n').filter((line) => line.includes('Left nothing out'));
  expect(said(await preview('real', place.path('data'), ...args))).toEqual(['Left nothing out: raal/cache']);
  const end = await place.run(['snapshot', 'real', place.path('data'), '--to', repository(), ...args, '--verify-from', 'cache']);
  expect({ code: end.code, said: said(end) }).toEqual({ code: 0, said: ['Left nothing out: raal/cache'] });
  const json = await place.run(['snapshot', 'real', place.path('data'), '--to', repository(), ...args, '--dry-run', '--json']);
  expect(jsonLines(json.stdout).at(-1)).toMatchObject({ messageType: 'preview', idleExcludes: ['raal/cache', 'never-there', place.path('real/cache')] });
});

test('a source that is not there is refused by name, before anything is copied, and taken for missing on request', async () => {
  const before = snapshotNames(repository());
  for (const options of [[], ['--dry-run']]) {
    const end = await place.run(['snapshot', 'real', 'raal', '--to', repository(), ...options]);
    expect(end.code).toBe(1);
    expect(`${end.stdout}${end.stderr}`).toContain(`${place.path('raal')} is not there`);
    expect(`${end.stdout}${end.stderr}`).toContain('--allow-missing');
  }
  expect(snapshotNames(repository())).toEqual(before);
  const allowed = await place.run(['snapshot', 'real', 'raal', '--to', repository(), '--allow-missing', '--dry-run']);
  expect(allowed.code).toBe(3);
  expect(allowed.stderr).toContain(`Would fail: ${place.path('raal')}`);
});
