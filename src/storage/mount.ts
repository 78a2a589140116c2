import * as fs from 'node:fs';

const MOUNT_ID = /^mnt_id:\s*(\d+)$/m;

/**
 * What tells two directories apart between which nothing can be linked or renamed: the file system, and where Linux says it
 * the mount, since two mounts of one file system refuse it as well.
 * @param handle of an open directory; elsewhere than on Linux its path
 * @throws errno names
 */
export function mountOf(handle: string): string {
  const { dev } = fs.statSync(handle, { bigint: true });
  const descriptor = /^\/proc\/self\/fd\/(\d+)$/.exec(handle)?.[1];
  const mount = descriptor === undefined ? undefined : MOUNT_ID.exec(fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
  return `${dev}:${mount ?? ''}`;
}
