import { printLines, printNotes } from '../terminal';

/** How the parser of the command line prints help and errors. Its complaint about a word is one line, whatever the word holds. */
export const parserOutput = {
  writeOut: (text: string): void => printLines(linesOf(text, '\n')),
  writeErr: (text: string): void => printNotes(linesOf(text, '\n')),
  outputError: (text: string): void => printNotes(linesOf(text, /\n(?=\(Did you mean )/)),
};

/** Without the line break at the end, which every line gets. */
function linesOf(text: string, lineBreak: RegExp | string): string[] {
  return text.replace(/\n$/, '').split(lineBreak);
}
