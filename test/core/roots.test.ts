import fc from 'fast-check';
import { isBelow, rootOf } from '../../src/core/roots';

test.each([
  ['/data', '/data', true],
  ['/data', '/data/file', true],
  ['/data', '/database', false],
  ['/data', '/', false],
  ['/data/a', '/data/b', false],
  ['/', '/', true],
  ['/', '/anything/at/all', true],
])('root %s and path %s: %s', (root, path, expected) => {
  expect(isBelow(root, path)).toBe(expected);
});

test('the longest root that holds the path counts, whatever their order', () => {
  const roots = ['/data', '/', '/data/photos', '/data/photo'];
  expect(rootOf(roots, '/data/photos/one.jpg')).toBe('/data/photos');
  expect(rootOf([...roots].reverse(), '/data/photos/one.jpg')).toBe('/data/photos');
  expect(rootOf(roots, '/etc/passwd')).toBe('/');
});

test('without a root that holds the path there is none', () => {
  expect(rootOf([], '/data')).toBeUndefined();
  expect(rootOf(['/data/photos'], '/data')).toBeUndefined();
});

test('the given roots keep their order', () => {
  const roots = Object.freeze(['/a', '/a/b']);
  expect(rootOf(roots, '/a/b/c')).toBe('/a/b');
});

test('a path is below each of its ancestors and nothing else', () => {
  const names = fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(names, names, (root, path) => {
      const isPrefix = root.every((name, index) => path[index] === name);
      return isBelow(`/${root.join('/')}`, `/${path.join('/')}`) === isPrefix;
    }),
    { seed: 20_261_124 },
  );
});
