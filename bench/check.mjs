import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { randomNumbers } from './random.mjs';

const SAMPLE = 40;

/** The same few files for every contender. */
export function sampleOf({ paths }, seed) {
  const random = randomNumbers(seed + 1);
  const count = Math.min(SAMPLE, paths.length);
  return Array.from({ length: count }, () => paths[Math.floor(random() * paths.length)]);
}

/**
 * So that nobody wins who did not copy: as many files as there were, and equal digests in a sample.
 * @throws Error naming what is missing or different
 */
export function checkCopies(source, directory, sample) {
  const found = countFiles(directory);
  if (found !== source.paths.length) throw new Error(`${directory} has ${found} files of ${source.paths.length}`);
  for (const path of sample) {
    const copy = `${directory}${path.slice(source.directory.length)}`;
    if (digestOf(copy) !== digestOf(path)) throw new Error(`${copy} differs from its source`);
  }
}

/**
 * The whole tree: nothing missing, nothing more, every file with the bytes of its source, and files and directories below
 * the top with its time.
 * @throws Error naming what is missing or different
 */
export function checkSameTree(source, directory) {
  const found = countFiles(directory);
  if (found !== source.paths.length) throw new Error(`${directory} has ${found} files of ${source.paths.length}`);
  for (const path of source.paths) {
    const copy = `${directory}${path.slice(source.directory.length)}`;
    requireSameTime(path, copy);
    if (!readFileSync(copy).equals(readFileSync(path))) throw new Error(`${copy} differs from its source`);
  }
  for (const path of foldersBelow(source.directory)) requireSameTime(path, `${directory}${path.slice(source.directory.length)}`);
}

function requireSameTime(path, copy) {
  const [expected, found] = [path, copy].map((each) => lstatSync(each, { bigint: true }).mtimeNs);
  if (found !== expected) throw new Error(`${copy} has the time ${found}, and its source ${expected}`);
}

function foldersBelow(directory) {
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map(({ name }) => `${directory}/${name}`).flatMap((path) => [path, ...foldersBelow(path)]);
}

/** Compares digests that a program prints with those of the files. */
export async function checkPrinted(paths, print) {
  for (const path of paths) {
    const printed = (await print(path)).split(' ')[0];
    if (printed !== digestOf(path)) throw new Error(`The copy of ${path} differs from it`);
  }
}

export function countFiles(directory) {
  return readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    if (entry.isDirectory()) return sum + countFiles(`${directory}/${entry.name}`);
    return sum + (entry.isFile() ? 1 : 0);
  }, 0);
}

function digestOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
