import { resolve } from 'node:path';
import { cacheDirectory, stateDirectory } from '../../src/config';

const home = { HOME: '/home/someone' };

test.each([
  [{ ...home }, '/home/someone/.local/state/file-backup'],
  [{ ...home, XDG_STATE_HOME: '/state' }, '/state/file-backup'],
  [{ ...home, XDG_STATE_HOME: 'relative' }, '/home/someone/.local/state/file-backup'],
  [{ ...home, XDG_STATE_HOME: '' }, '/home/someone/.local/state/file-backup'],
  [{ ...home, XDG_STATE_HOME: '/state', FILE_BACKUP_STATE_DIR: '/own' }, '/own'],
  [{ ...home, FILE_BACKUP_STATE_DIR: 'own' }, resolve('own')],
])('with %j, state is kept in %s', (env, expected) => {
  expect(stateDirectory(env)).toBe(expected);
});

test.each([
  [{ ...home }, '/home/someone/.cache/file-backup'],
  [{ ...home, XDG_CACHE_HOME: '/cache' }, '/cache/file-backup'],
  [{ ...home, XDG_CACHE_HOME: '/cache', FILE_BACKUP_CACHE_DIR: '/own' }, '/own'],
])('with %j, downloads are kept in %s', (env, expected) => {
  expect(cacheDirectory(env)).toBe(expected);
});
