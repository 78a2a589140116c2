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

/** Key of the file system's root directory; of everything else, a key begins with it. */
export const ROOT_KEY = '\0';

/** What the keys of everything in a directory begin with. */
function keyPrefix(key: string): string {
  return key === ROOT_KEY ? ROOT_KEY : `${key}\0`;
}

/** Whether an entry is somewhere in a directory, by their keys. */
export function isBelowKey(directory: string, key: string): boolean {
  return key.startsWith(keyPrefix(directory)) && key !== directory;
}
