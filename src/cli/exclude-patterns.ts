import { readFileSync } from 'node:fs';
import { messageOf } from '../core/error-message';
import { UsageError } from './exit-codes';

/** Patterns of the command line, then those of files, a line each. Later ones win, as in a .gitignore. */
export function excludePatterns(patterns: readonly string[], files: readonly string[]): string[] {
  return [...patterns, ...files.flatMap(linesOf)];
}

function linesOf(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').split(/\r?\n/);
    return lines.filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new UsageError(`The exclude file ${file} cannot be read: ${messageOf(error)}`);
  }
}
