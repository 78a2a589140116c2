import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { messageOf } from './core/error-message';
import { printable } from './core/printable';

/**
 * The one way to standard output and standard error. Everything is printed in lines, and each line is made printable here:
 * what files, records, servers and errors say can neither steer the terminal nor begin a line of its own, whoever prints it.
 */
export function printLines(lines: readonly string[]): void {
  eraseDrawing();
  write(blockOf(lines), (error) => void (error && note(error)));
}

/** The same on standard error. Nothing depends on its being read: see `guardStreams`. */
export function printNotes(lines: readonly string[]): void {
  eraseDrawing();
  process.stderr.write(blockOf(lines));
}

function blockOf(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join('');
}

/** Standard output cannot be written: the disk is full, or the like. What was done is done, but what is said of it is lost. */
export class UnwritableOutputError extends Error {
  override readonly name = 'UnwritableOutputError';
  readonly errorCode = 'OutputUnwritable';

  constructor(cause: Error) {
    super(`Standard output cannot be written (${messageOf(cause)}): what was done stays done, but its report is incomplete.`, { cause });
  }
}

/**
 * To be called first by every program. A reader that has gone is no error, so that `file-backup runs | head` is fine, and a
 * run whose progress nobody reads any more goes on to its end. Anything else that keeps standard output from being written
 * is kept for `flush` to throw. Standard error is for people who look: that it cannot be written ends nothing.
 */
export function guardStreams(): void {
  process.stdout.on('error', note);
  process.stderr.on('error', () => undefined);
  process.on('exit', eraseDrawing);
  if (!(process.stdout instanceof Socket)) write = writeToFile;
}

/** Takes off the terminal what is drawn there in place; undefined while nothing is. */
let erase: (() => void) | undefined;

const waysOut: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGTSTP'];

/**
 * To be called by whatever draws in place, with hidden cursor and all, each time that it begins to. It is taken off before
 * anything else is printed and on every way out, Ctrl-Z included; who wants it back begins again.
 */
export function beginDrawing(eraseIt: () => void): void {
  if (erase === undefined) for (const signal of waysOut) process.on(signal, leave);
  erase = eraseIt;
}

/** Takes off what is drawn. */
export function eraseDrawing(): void {
  const eraseIt = erase;
  if (eraseIt === undefined) return;
  erase = undefined;
  for (const signal of waysOut) process.off(signal, leave);
  eraseIt();
}

/** Where nobody else has something to do first, a signal does what it does by itself. */
function leave(signal: NodeJS.Signals): void {
  eraseDrawing();
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

type Write = (text: string, done: (error?: Error | null) => void) => void;

let write: Write = (text, done) => void process.stdout.write(text, done);

/** Node's own stream for files does not look whether all of it was written: on a full disk the end would be lost silently. */
function writeToFile(text: string, done: (error?: Error) => void): void {
  try {
    const data = Buffer.from(text);
    for (let written = 0; written < data.length; ) written += writeSync(1, data, written);
  } catch (error) {
    return done(error as Error);
  }
  done();
}

let readerHasGone = false;
/** The first reason for which standard output could not be written. */
let unwritable: UnwritableOutputError | undefined;

/** Once something is amiss, further writes fail for that reason alone. */
function note(error: NodeJS.ErrnoException): void {
  if (isGone(error)) readerHasGone = true;
  else if (!readerHasGone) unwritable ??= new UnwritableOutputError(error);
}

/** A terminal that was closed answers with EIO. */
function isGone({ code = '' }: NodeJS.ErrnoException): boolean {
  return ['EPIPE', 'ECONNRESET'].includes(code) || (code === 'EIO' && process.stdout.isTTY);
}

/** As much as a pipe takes at once. */
const BLOCK_LENGTH = 64 * 1024;

/**
 * Prints lines as they come, no faster than they are read: any number of them passes through one block of memory.
 * @returns false when the reader has gone; then nothing more was taken from `lines`
 * @throws UnwritableOutputError
 */
export async function printStream(lines: Iterable<string>): Promise<boolean> {
  let block = '';
  for (const line of lines) {
    block += `${printable(line)}\n`;
    if (block.length < BLOCK_LENGTH) continue;
    if (!(await printBlock(block))) return false;
    block = '';
  }
  return printBlock(block);
}

/** Resolves when all that was printed has been read, or nobody reads it any more. @throws UnwritableOutputError */
export async function flush(): Promise<void> {
  await printBlock('');
}

/** Whether it has been read. */
async function printBlock(block: string): Promise<boolean> {
  const error = await new Promise<Error | null | undefined>((resolve) => write(block, resolve));
  if (error) note(error);
  if (unwritable !== undefined) throw unwritable;
  return !error;
}
