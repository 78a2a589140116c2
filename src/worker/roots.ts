import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AllowedRoots } from '../activities';

/**
 * Makes roots absolute and resolves links in them once, here where the operator named them.
 * @param trust `trustDestinations` accepts destinations in which other users can replace what is written
 */
export function resolveRoots(sources: readonly string[], destinations: readonly string[], trust: Pick<AllowedRoots, 'trustDestinations'> = {}): AllowedRoots {
  return { sources: sources.map(realRoot), destinations: destinations.map(realRoot), ...trust };
}

/** Roots that are no directories now: a disk that is not mounted, or a name that is mistyped. */
export function missingRoots({ sources, destinations }: AllowedRoots): string[] {
  return [...new Set([...sources, ...destinations])].filter((root) => statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true);
}

/** A root that is not there yet, as a disk that is not mounted, is kept as it was named: its absence shows when it is used. */
function realRoot(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return resolve(path);
  }
}
