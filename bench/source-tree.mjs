import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
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

/** Reads every file once, so that all contenders find it in the page cache. */
export function warm({ paths }) {
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
