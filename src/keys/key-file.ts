import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, linkSync, mkdirSync, openSync, readSync, rmSync, writeSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { KEY_BYTES, type Secret } from './payload-keys';

/** A key file that cannot be used, and why not. */
export class PayloadKeyError extends Error {
  override readonly name = 'PayloadKeyError';
  readonly errorCode = 'InvalidInput';
}

const OWNER_ONLY = 0o600;
const MAX_FILE_BYTES = 64 * 1024;
const LINE = /^[0-9a-f]{64}$/i;

/** The key of a state directory. */
export function keyFileOf(stateDirectory: string): string {
  return join(stateDirectory, 'payload.key');
}

/** The token of a state directory's codec endpoint. */
export function tokenFileOf(stateDirectory: string): string {
  return join(stateDirectory, 'codec.token');
}

/**
 * Reads the keys of a file: 64 hexadecimal digits a line, the first one for writing; empty lines and lines that begin
 * with # do not count.
 * @throws PayloadKeyError unless it is a regular file that nobody but the running user and root can read or change
 */
export function readKeyFile(path: string): Secret[] {
  const lines = readPrivate(path).split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) throw refusal(path, 'it holds no key', 'Put 64 hexadecimal digits into it');
  const wrong = lines.findIndex((line) => !LINE.test(line));
  if (wrong >= 0) throw refusal(path, `its key ${wrong + 1} is not 64 hexadecimal digits`, 'Correct it');
  return lines.map((line) => Buffer.from(line, 'hex'));
}

/**
 * Reads the key file of a state directory, which is made where there is none: 32 random bytes, for its owner alone.
 * @throws PayloadKeyError as `readKeyFile`, and when it cannot be made
 */
export function stateKeys(stateDirectory: string): Secret[] {
  return readOrMake(keyFileOf(stateDirectory));
}

/** What its owner shows to the codec endpoint of a state directory: no key, but kept and made as one. @throws PayloadKeyError */
export function codecToken(stateDirectory: string): Secret {
  const [token] = readOrMake(tokenFileOf(stateDirectory));
  if (token === undefined) throw new Error('A key file that was read has a key');
  return token;
}

function readOrMake(path: string): Secret[] {
  try {
    return readKeyFile(path);
  } catch (error) {
    if ((error as { cause?: { code?: string } }).cause?.code !== 'ENOENT') throw error;
  }
  createKeyFile(path);
  syncDirectoryOf(path);
  return readKeyFile(path);
}

/** Written aside and linked: whoever meets it finds it whole, and of several commands at a time one makes it. */
function createKeyFile(path: string): void {
  const draft = join(dirname(path), `.${basename(path)}-${randomUUID()}`);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, OWNER_ONLY);
    try {
      writeSync(descriptor, `${randomBytes(KEY_BYTES).toString('hex')}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unmakable(path, error);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Before anything is signed with a key, whoever has made it: what another key has signed is nobody's any more. */
function syncDirectoryOf(path: string): void {
  try {
    const descriptor = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw unmakable(path, error);
  }
}

function unmakable(path: string, error: unknown): PayloadKeyError {
  return refusal(path, `it cannot be made (${reasonOf(error)})`, 'Make the state directory writable, free some space there, or choose another with FILE_BACKUP_STATE_DIR', error);
}

/** Opened without following a link at its end, and without waiting for whoever would write into a FIFO. */
function readPrivate(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const isLink = (error as NodeJS.ErrnoException).code === 'ELOOP';
    throw refusal(path, isLink ? 'it is a link' : `it cannot be read (${reasonOf(error)})`, 'Name a file that you own', error);
  }
  try {
    refuseForeign(path, fstatSync(descriptor));
    const buffer = Buffer.alloc(MAX_FILE_BYTES);
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, MAX_FILE_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}

function refuseForeign(path: string, stats: Stats): void {
  const mode = (stats.mode & 0o7777).toString(8);
  if (!stats.isFile()) throw refusal(path, 'it is not a regular file', 'Name one');
  if (stats.uid !== process.geteuid?.() && stats.uid !== 0) throw refusal(path, `it belongs to user ${stats.uid}, who knows it`, 'Remove it, and let the program make another, or name one that you own');
  if ((stats.mode & 0o077) !== 0) throw refusal(path, `others may read or change it (mode ${mode})`, 'Make another one if somebody may have read it, and let only its owner read it: chmod 600');
  if (stats.size > MAX_FILE_BYTES) throw refusal(path, `it is larger than ${MAX_FILE_BYTES} bytes`, 'Name a file of keys');
}

function refusal(path: string, reason: string, wayOut: string, cause?: unknown): PayloadKeyError {
  return new PayloadKeyError(`The key file ${path} cannot be used: ${reason}. ${wayOut}.`, { cause });
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
