import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reasonOf } from './errors';
import { lackOf, programsOnPath } from './executable';
import { parseObject, readIfPresent, replaceFile } from './files';

/** The Temporal CLI on PATH, or why there is none. */
export interface PathSearch {
  readonly path?: string;
  readonly reason: string;
}

/**
 * Looks for a Temporal CLI on PATH. What a program turned out to be is remembered in the cache for as long as its
 * file stays the same, so that it is started for this question once only.
 */
export async function findOnPath(searchPath: string, cacheDirectory: string, log: (message: string) => void): Promise<PathSearch> {
  const memory = join(cacheDirectory, 'path-programs.json');
  const known = parseObject(readIfPresent(memory) ?? '') ?? {};
  const reasons: string[] = [];
  for (const { path, distrust } of programsOnPath('temporal', searchPath)) {
    if (distrust !== undefined) {
      log(`${path} is not used: ${distrust}.`);
      reasons.push(`${path} is not used: ${distrust}`);
      continue;
    }
    const key = `${path}#${fingerprint(path)}`;
    const remembered = known[key];
    const reason = typeof remembered === 'string' ? remembered : ((await lackOf(path)) ?? '');
    if (remembered === undefined) remember(memory, { ...known, [key]: reason }, log);
    if (!reason) return { path, reason };
    reasons.push(reason);
  }
  return { reason: reasons.join('; ') || 'not found' };
}

function fingerprint(path: string): string {
  const { ino, size, mtimeMs } = statSync(path);
  return [ino, size, mtimeMs].join('/');
}

function remember(memory: string, known: Record<string, unknown>, log: (message: string) => void): void {
  try {
    mkdirSync(dirname(memory), { recursive: true });
    replaceFile(memory, JSON.stringify(known));
  } catch (error) {
    log(`The check of the Temporal CLI on PATH cannot be remembered: ${reasonOf(error)}`);
  }
}
