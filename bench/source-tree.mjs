import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { randomNumbers } from './random.mjs';

const FILES_PER_DIRECTORY = 100;
const DIRECTORIES_PER_PARENT = 50;
const BLOCK_BYTES = 1024 * 1024;

/** Makes the files of a case below a directory, and lists of them as the commands want them. */
export function makeSourceTree(parent, { name, files, sizeBytes: [least, most] }, seed) {
  const directory = join(parent, `source-${name}`);
  const random = randomNumbers(seed);
  const bytes = randomBytes(seed);
  const paths = [];
  let totalBytes = 0;
  for (let index = 0; index < files; index += 1) {
    const folder = folderOf(directory, index);
    if (index % FILES_PER_DIRECTORY === 0) mkdirSync(folder, { recursive: true });
    const path = join(folder, `file-${String(index).padStart(7, '0')}.dat`);
    const sizeBytes = Math.round(least + random() * (most - least));
    writeRandom(path, sizeBytes, bytes);
    paths.push(path);
    totalBytes += sizeBytes;
  }
  const lists = { nul: join(parent, `list-${name}.nul`), newline: join(parent, `list-${name}.txt`) };
  writeFileSync(lists.nul, paths.map((path) => `${path}\0`).join(''));
  writeFileSync(lists.newline, paths.map((path) => `${path}\n`).join(''));
  return { directory, paths, lists, totalBytes };
}

/** A share of the files, always the same ones, in the order of the tree. */
export function someOf({ paths }, share, seed) {
  const random = randomNumbers(seed + 2);
  const order = paths.map((path, index) => ({ path, index, rank: random() })).sort((a, b) => a.rank - b.rank);
  const chosen = order.slice(0, Math.max(1, Math.round(paths.length * share)));
  return chosen.sort((a, b) => a.index - b.index).map(({ path }) => path);
}

/** Writes other bytes into files, into every second one of them fewer or more than it had. Another seed, other bytes. */
export function rewrite(paths, seed) {
  const bytes = randomBytes(seed);
  for (const [index, path] of paths.entries()) {
    const { size } = statSync(path);
    writeRandom(path, index % 2 === 0 ? size : otherSize(size), bytes);
  }
}

/** Away and back again, so that a file that is rewritten often keeps about its size. */
function otherSize(size) {
  return size % 2 === 0 ? size + 101 : size - 101;
}

/** Reads every file once, so that all contenders find it in the page cache. */
export function warm({ paths }) {
  readAll(paths);
}

/** The same for whatever lies below a directory. */
export function warmDirectory(directory) {
  const entries = readdirSync(directory, { withFileTypes: true });
  readAll(entries.flatMap((entry) => (entry.isFile() ? [join(directory, entry.name)] : [])));
  for (const entry of entries) if (entry.isDirectory()) warmDirectory(join(directory, entry.name));
}

function readAll(paths) {
  const buffer = Buffer.allocUnsafe(BLOCK_BYTES);
  for (const path of paths) {
    const descriptor = openSync(path, 'r');
    while (readSync(descriptor, buffer) > 0);
    closeSync(descriptor);
  }
}

function folderOf(directory, index) {
  const folder = Math.floor(index / FILES_PER_DIRECTORY);
  const parent = Math.floor(folder / DIRECTORIES_PER_PARENT);
  return join(directory, `part-${String(parent).padStart(3, '0')}`, `folder-${String(folder).padStart(5, '0')}`);
}

/** A key stream: as fast as the disk, the same for the same seed, and nothing that compresses or repeats. */
function randomBytes(seed) {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed >>> 0);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(BLOCK_BYTES);
  return (count) => cipher.update(zeros.subarray(0, count));
}

function writeRandom(path, sizeBytes, bytes) {
  if (sizeBytes <= BLOCK_BYTES) return writeFileSync(path, bytes(sizeBytes));
  const descriptor = openSync(path, 'w');
  for (let rest = sizeBytes; rest > 0; rest -= BLOCK_BYTES) writeSync(descriptor, bytes(Math.min(rest, BLOCK_BYTES)));
  closeSync(descriptor);
}
