import { readableRoot, sourceRoot, writableRoot } from '../../src/activities/roots';

const roots = { sources: ['/home'], destinations: ['/backups'] };

test('a repository is read below either kind of root, and changed below a destination root only', () => {
  expect([readableRoot(roots, '/home/r'), readableRoot(roots, '/backups/r'), writableRoot(roots, '/backups/r')]).toEqual(['/home', '/backups', '/backups']);
  expect(() => writableRoot(roots, '/home/r')).toThrow('The worker may not use target /home/r: --destination-root allows /backups');
  expect(() => readableRoot(roots, '/etc')).toThrow('The worker may not use source /etc: --source-root allows /home');
  expect(() => sourceRoot(roots, '/backups/r')).toThrow('may not use source');
});

test.each(['/backups/../etc', '/backups/./r', '/backups//r', 'backups', '/backups/r/'])('%s is below no root, whatever its text begins with', (path) => {
  for (const root of [readableRoot, writableRoot]) expect(() => root(roots, path)).toThrow(`${path} is no absolute path`);
});
