import { readFileSync } from 'node:fs';
import { dirname, normalize, resolve } from 'node:path';
import { messageOf } from '../core/error-message';
import { isBelow } from '../core/roots';
import { UsageError } from './exit-codes';
import { canonicalDirectory } from './paths';

/** Patterns of the command line, for sources as they were typed beside them. */
export function typedPatterns(patterns: readonly string[], sources: readonly string[]): string[] {
  return patterns.map((pattern) => meant(pattern, (place) => belowTyped(place, sources) ?? belowReal(place, sources)));
}

/** Patterns of files, a line each. Files are not written beside the sources, so that only whole paths in them are places. */
export function listedPatterns(files: readonly string[], sources: readonly string[]): string[] {
  return files.flatMap(linesOf).map((pattern) => meant(pattern, (place) => (place.startsWith('/') ? belowReal(place, sources) : undefined)));
}

function linesOf(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').split(/\r?\n/);
    return lines.filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new UsageError(`The exclude file ${file} cannot be read: ${messageOf(error)}`);
  }
}

/** Patterns that begin with a source's own path mean that very place: so a place is named by the path that the source has. */
function meant(pattern: string, placeOf: (place: string) => string | undefined): string {
  const not = pattern.startsWith('!') ? '!' : '';
  return `${not}${placeOf(pattern.slice(not.length)) ?? pattern.slice(not.length)}`;
}

/** What begins as one of the sources was typed: with it, it is relative, or runs through the same links. */
function belowTyped(place: string, sources: readonly string[]): string | undefined {
  for (const typed of sources) {
    const rest = [typed, normalize(typed), resolve(typed)].map((prefix) => restBelow(prefix.replace(/\/+$/, ''), place)).find((each) => each !== undefined);
    if (rest !== undefined) return at(canonicalDirectory(typed), rest);
  }
  return undefined;
}

function restBelow(prefix: string, place: string): string | undefined {
  return prefix !== '' && place.startsWith(`${prefix}/`) ? place.slice(prefix.length + 1) : undefined;
}

/** A path that leads to one of the sources by way of other links. In a pattern, one that begins with dots can be nothing else. */
function belowReal(place: string, sources: readonly string[]): string | undefined {
  if (!/^\.{0,2}\//.test(place)) return undefined;
  const plain = place.split('/');
  const firstGlob = plain.findIndex((name) => /[*?[\\]/.test(name));
  // The last name may be a link itself, which is meant then, and not where it leads.
  const [, directory = '', rest = ''] = /^(.*\/)(.+)$/.exec(firstGlob < 0 ? place.replace(/\/$/, '') : plain.slice(0, firstGlob + 1).join('/')) ?? [];
  const real = canonicalDirectory(resolve(dirname(`${directory}x`)));
  const isInSource = sources.map(canonicalDirectory).some((source) => source !== '/' && isBelow(source, real));
  return isInSource ? at(real, `${rest}${place.slice(directory.length + rest.length)}`) : undefined;
}

function at(directory: string, rest: string): string {
  return directory === '/' ? `/${rest}` : `${directory}/${rest}`;
}
