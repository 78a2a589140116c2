import Table from 'cli-table3';

/**
 * What a command prints. Standard output carries results only: text, or with `--json` one object a line, the last one
 * the result. Everything else goes to standard error.
 */
export interface Output {
  readonly isJson: boolean;
  /** Something that happened on the way: an object on standard output with `--json`, else a line on standard error. */
  event(type: string, fields: object, line: string): void;
  /** The result of the command. */
  result(type: string, fields: object, text: string): void;
  /** A word to the person at the terminal. */
  note(line: string): void;
}

export function createOutput(isJson: boolean): Output {
  const print = (type: string, fields: object): void => void process.stdout.write(`${JSON.stringify({ messageType: type, ...fields })}\n`);
  const note = (line: string): void => void process.stderr.write(`${line}\n`);
  return {
    isJson,
    event: (type, fields, line) => (isJson ? print(type, fields) : note(line)),
    result: (type, fields, text) => (isJson ? print(type, fields) : void process.stdout.write(`${text}\n`)),
    note,
  };
}

/** A plain table without lines. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' };
  const inner = { left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' };
  const table = new Table({ head: [...head], chars: { ...none, ...inner }, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
