import { destinationRoot, readableRoot, sourceRoot } from '../../src/activities/roots';

const roots = { sources: ['/home'], destinations: ['/backups'] };

test('a repository is read below either kind of root, and changed below a destination root only', () => {
  expect([readableRoot(roots, '/home/r'), readableRoot(roots, '/backups/r'), destinationRoot(roots, '/backups/r')]).toEqual(['/home', '/backups', '/backups']);
  expect(() => destinationRoot(roots, '/home/r')).toThrow('The worker may not use target /home/r: --destination-root allows /backups');
  expect(() => readableRoot(roots, '/etc')).toThrow('The worker may not use source /etc: --source-root allows /home');
  expect(() => sourceRoot(roots, '/backups/r')).toThrow('may not use source');
});
