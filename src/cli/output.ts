import { printLines, printNotes } from '../terminal';

/** What is printed: one line, or several. A line break inside of a line is printed as `\n`. */
export type Text = string | readonly string[];

/**
 * What a command prints. Standard output carries results only: text, or with `--json` one object a line, the last one
 * the result. Everything else goes to standard error. Lines may hold anything: they are made printable on the way.
 */
export interface Output {
  readonly isJson: boolean;
  /** Something that happened on the way: an object on standard output with `--json`, else a line on standard error. */
  event(type: string, fields: object, line: string): void;
  /** The result of the command. */
  result(type: string, fields: object, text: Text): void;
  /** A word to the person at the terminal. */
  note(text: Text): void;
}

export function createOutput(isJson: boolean): Output {
  const print = (type: string, fields: object): void => printLines([jsonLine(type, fields)]);
  const note = (text: Text): void => printNotes([text].flat());
  return {
    isJson,
    event: (type, fields, line) => (isJson ? print(type, fields) : note(line)),
    result: (type, fields, text) => (isJson ? print(type, fields) : printLines([text].flat())),
    note,
  };
}

/** An object of `--json`. Fields that come from elsewhere cannot make it one of another type. */
export function jsonLine(type: string, fields: object): string {
  return JSON.stringify(Object.assign({ messageType: type }, fields, { messageType: type }));
}
