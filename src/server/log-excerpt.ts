import { readIfPresent } from './files';

const FIRST_LINES = 5;
const LAST_LINES = 10;
const LINE_LENGTH = 500;

/** The first and the last lines of a log, for a message: a crash says why above its stack. Empty when there is no log. */
export function logExcerpt(path: string): string[] {
  const text = (readIfPresent(path) ?? '').trim();
  const lines = text === '' ? [] : text.split('\n');
  const shown = lines.length <= FIRST_LINES + LAST_LINES ? lines : [...lines.slice(0, FIRST_LINES), '…', ...lines.slice(-LAST_LINES)];
  return shown.map((line) => line.slice(0, LINE_LENGTH));
}
