/** As much as a pipe takes at once. */
const BLOCK_LENGTH = 64 * 1024;

/**
 * Prints lines as they come, no faster than they are read: any number of them passes through one block of memory.
 * @returns false when the reader has gone; then nothing more was taken from `lines`
 */
export async function printLines(lines: Iterable<string>): Promise<boolean> {
  let block = '';
  for (const line of lines) {
    block += `${line}\n`;
    if (block.length < BLOCK_LENGTH) continue;
    if (!(await printBlock(block))) return false;
    block = '';
  }
  return printBlock(block);
}

/** Other errors than a reader that has gone end the program: see main. */
function printBlock(block: string): Promise<boolean> {
  return new Promise((resolve) => process.stdout.write(block, (error) => resolve(error === null || error === undefined)));
}
