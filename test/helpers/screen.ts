/** What a terminal shows after all that was written to it, and what state it is left in. */
export interface Screen {
  readonly lines: readonly string[];
  readonly isCursorHidden: boolean;
  readonly isWrappingOff: boolean;
}

/** The few sequences that programs draw progress with. */
const ESCAPE = '\u001b';
const SEQUENCE = new RegExp(`${ESCAPE}\\[(\\??)([\\d;]*)([A-Za-z])|${ESCAPE}[78]|\\r|\\n|[^${ESCAPE}\\r\\n]+`, 'g');

export function screenOf(written: string): Screen {
  const rows: string[] = [''];
  let [row, column, isCursorHidden, isWrappingOff] = [0, 0, false, false];
  const current = (): string => rows[row] ?? '';
  for (const [text, question, digits, letter] of written.matchAll(SEQUENCE)) {
    const count = Number(digits || 0);
    if (question === '?') {
      if (digits === '25') isCursorHidden = letter === 'l';
      if (digits === '7') isWrappingOff = letter === 'l';
    } else if (letter !== undefined) {
      if (letter === 'A') row = Math.max(0, row - (count || 1));
      if (letter === 'B') row += count || 1;
      if (letter === 'C') column += count || 1;
      if (letter === 'D') column = Math.max(0, column - (count || 1));
      if (letter === 'G') column = Math.max(0, count - 1);
      if (letter === 'K') rows[row] = count === 2 ? '' : current().slice(0, column);
      if (letter === 'J') {
        rows[row] = current().slice(0, column);
        rows.length = row + 1;
      }
    } else if (text === '\r') column = 0;
    else if (text === '\n') [row, column] = [row + 1, 0];
    else if (!text.startsWith(ESCAPE)) {
      rows[row] = current().padEnd(column).slice(0, column) + text + current().slice(column + text.length);
      column += text.length;
    }
    while (rows.length <= row) rows.push('');
  }
  return { lines: rows, isCursorHidden, isWrappingOff };
}
