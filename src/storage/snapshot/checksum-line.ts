import type { PathBytes } from '../path-bytes';

/**
 * One line of SHA256SUMS as GNU `sha256sum` writes and reads it: a name that holds a backslash or a line break is
 * escaped, and the line then begins with a backslash (coreutils manual, "md5sum invocation").
 */
export function checksumLine(sha256: string, path: PathBytes): Buffer {
  if (typeof path === 'string' && !SPECIAL.test(path)) return Buffer.from(`${sha256}  ${path}\n`);
  const latin1 = Buffer.from(path).toString('latin1');
  const escaped = latin1.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return Buffer.from(`${escaped === latin1 ? '' : '\\'}${sha256}  ${escaped}\n`, 'latin1');
}

const SPECIAL = /[\\\n\r]/;
