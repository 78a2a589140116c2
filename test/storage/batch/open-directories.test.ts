import * as fs from 'node:fs';
import { join } from 'node:path';
import { OpenDirectories } from '../../../src/storage/batch/open-directories';
import { openDescriptors, useFolder } from '../../helpers/files';
import { withPatched } from '../patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

const folder = useFolder();

function makeDirectories(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const path = join(folder(), `directory-${index}`);
    fs.mkdirSync(path);
    return path;
  });
}

test('of more directories than stay open each touched one is synced, once, and all are closed', () => {
  const paths = makeDirectories(80);
  const before = openDescriptors();
  const synced: string[] = [];
  const look = ([descriptor]: readonly unknown[], proceed: () => unknown): unknown => {
    synced.push(fs.readlinkSync(`/proc/self/fd/${String(descriptor)}`));
    return proceed();
  };
  withPatched('fsyncSync', look, () => {
    const directories = new OpenDirectories('destination');
    for (const path of paths) directories.touch(directories.get(folder(), path));
    directories.sync();
    directories.sync();
    directories.close();
  });
  expect(synced.sort()).toEqual([...paths].sort());
  expect(openDescriptors()).toEqual(before);
});

test('a directory that was only looked into is not synced', () => {
  const [path = ''] = makeDirectories(1);
  const sync = jest.fn((_: readonly unknown[], proceed: () => unknown) => proceed());
  withPatched('fsyncSync', sync, () => {
    const directories = new OpenDirectories('destination');
    directories.get(folder(), path);
    directories.sync();
    directories.close();
  });
  expect(sync).not.toHaveBeenCalled();
});
