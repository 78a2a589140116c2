import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Everything below a directory that others work in meanwhile, by its path from there: what goes away in between is left out. */
export function namesBelow(directory: string): string[] {
  return entriesOf(directory).flatMap((entry) => {
    const below = entry.isDirectory() ? namesBelow(join(directory, entry.name)) : [];
    return [entry.name, ...below.map((name) => join(entry.name, name))];
  });
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
