import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { parseObject, readIfPresent, replaceFile } from './files';

const BLOCK_BYTES = 1024 * 1024;

/**
 * Whether a downloaded program still has the digest that it was installed with. Reading all of it at every start would take
 * longer than everything else, so that the file is known again by what changes with every change of its content: nobody
 * but root can set a time of change back. That, and a digest that is taken down at the first sight of the file, is sound only
 * because the directories of both belong to the running user, and nobody else can write there; see `whyNotTrusted`.
 * @param record where digest and identity are kept
 */
export function hasKnownDigest(program: string, record: string): boolean {
  const identity = identityOf(program);
  const known = parseObject(readIfPresent(record) ?? '');
  if (known?.identity === identity) return true;
  const sha256 = digestOf(program);
  if (typeof known?.sha256 === 'string' && known.sha256 !== sha256) return false;
  replaceFile(record, `${JSON.stringify({ sha256, identity })}\n`);
  return true;
}

/** Before another program takes the place of the one that it was taken from. */
export function forgetDigest(record: string): void {
  rmSync(record, { force: true });
}

function identityOf(program: string): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(program, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join('/');
}

function digestOf(path: string): string {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  const descriptor = openSync(path, 'r');
  try {
    for (let count = readSync(descriptor, block); count > 0; count = readSync(descriptor, block)) hash.update(block.subarray(0, count));
    return hash.digest('hex');
  } finally {
    closeSync(descriptor);
  }
}
