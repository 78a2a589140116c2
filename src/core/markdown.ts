import { boundedText } from './bounded-text';
import { printable } from './printable';

/** Longest run of backticks that a span takes as it is: its fences have to be longer. */
const MAX_RUN = 3;

/** Servers limit summaries to 400 bytes unless told otherwise: two paths, an arrow, fences, and a name before them fit. */
const MAX_PATH_BYTES = 130;

/**
 * A value as a code span: whatever it holds, it stays text, and becomes neither link nor image nor any other markup.
 * Escaping by backslashes would not do, since addresses become links in spite of it.
 */
export function codeSpan(value: string): string {
  return fenced(spanText(value));
}

/** A path as a code span for a summary: one that is too long loses its middle, and the span keeps its end. */
export function pathSpan(path: string): string {
  return fenced(boundedText(spanText(path), MAX_PATH_BYTES));
}

/** The backticks of a text that is full of them are escaped, so that no span is much longer than its text. */
function spanText(value: string): string {
  const text = printable(value);
  return longestRun(text) > MAX_RUN ? text.replaceAll('`', '\\u0060') : text;
}

function fenced(text: string): string {
  const fence = '`'.repeat(longestRun(text) + 1);
  // Of a span that begins and ends with a space, one of each is taken away; nothing at all between fences is no span.
  const padding = /^$|^[` ]|[` ]$/.test(text) ? ' ' : '';
  return `${fence}${padding}${text}${padding}${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
