/** Which of the operator's roots holds a path. Pure text: links are dealt with when the path is opened. */

/** True when `path` is `root` or lies below it. Both absolute, without `.`, `..` or doubled slashes. */
export function isBelow(root: string, path: string): boolean {
  return path === root || path.startsWith(root === '/' ? '/' : `${root}/`);
}

/** The longest root that holds the path, or undefined. */
export function rootOf(roots: readonly string[], path: string): string | undefined {
  return roots.filter((root) => isBelow(root, path)).sort((a, b) => b.length - a.length)[0];
}
