import { printable } from './core/printable';

/**
 * The one way to standard output and standard error. Everything is printed in lines, and each line is made printable here:
 * what files, records, servers and errors say can neither steer the terminal nor begin a line of its own, whoever prints it.
 */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(blockOf(lines));
}

/** The same on standard error. */
export function printNotes(lines: readonly string[]): void {
  process.stderr.write(blockOf(lines));
}

function blockOf(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join('');
}

/** As much as a pipe takes at once. */
const BLOCK_LENGTH = 64 * 1024;

/**
 * Prints lines as they come, no faster than they are read: any number of them passes through one block of memory.
 * @returns false when the reader has gone; then nothing more was taken from `lines`
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

/** Resolves when all that was printed has been read, or nobody reads it any more. */
export async function flush(): Promise<void> {
  await printBlock('');
}

/** Other errors than a reader that has gone end the program: see the command's main file. */
function printBlock(block: string): Promise<boolean> {
  return new Promise((resolve) => process.stdout.write(block, (error) => resolve(error === null || error === undefined)));
}
