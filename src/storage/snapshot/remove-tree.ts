import * as fs from 'node:fs';

/** Removes a directory with all that is in it. */
export function removeTree(path: string): void {
  fs.rmSync(path, { recursive: true, force: true });
}
