import { bytewise, type PathBytes } from '../path-bytes';

// eslint-disable-next-line no-control-regex -- all of ASCII is meant
const ASCII = /^[\u0000-\u007f]*$/;

/**
 * What paths are sorted by, everywhere in a snapshot: byte by byte, a directory directly before what is in it. Two lists
 * in this order can be compared without holding either in memory.
 */
export function orderKey(path: PathBytes): string {
  const text = typeof path === 'string' && ASCII.test(path) ? path : bytewise(path);
  return text.replaceAll('/', '\0');
}

/** The order of names within one directory. */
export function nameKey(name: PathBytes): string {
  return typeof name === 'string' && ASCII.test(name) ? name : bytewise(name);
}
