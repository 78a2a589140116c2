import Table from 'cli-table3';
import { printable } from '../core/printable';

/** One line of text, or several below each other. */
export type Cell = string | readonly string[];

/** A plain table without lines, as lines of text. Cells may hold anything: they are made printable, so that columns stay in line. */
export function tableLines(head: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' };
  const inner = { left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' };
  const table = new Table({ head: [...head], chars: { ...none, ...inner }, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } });
  table.push(...rows.map((row) => row.map((cell) => [cell].flat().map(printable).join('\n'))));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
