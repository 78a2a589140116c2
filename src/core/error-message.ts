/** Errors of Node about arguments, as `The argument 'path' must be … Received '…'`. */
const QUOTING_CODES = /^ERR_(INVALID|OUT_OF_RANGE|UNKNOWN)/;

/**
 * The message of anything that was thrown. Parsers, and Node where it is given a wrong value, put into their messages
 * what they were given, which may be the content of somebody's file: of those only the kind of the error is told.
 */
export function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return typeof error === 'string' ? error : `${typeof error} that is no error was thrown`;
  const { name, message, code, codeblock, line, column } = error as Readonly<Record<string, unknown>>;
  // Of the parser of Temporal's configuration file, which shows the lines around, keys and all.
  if (codeblock !== undefined) return `no valid TOML from line ${Number(line)}, column ${Number(column)} on`;
  const isQuoting = name === 'SyntaxError' || (typeof code === 'string' && QUOTING_CODES.test(code));
  return isQuoting ? `${String(name)}: data that is not what it should be` : String(message);
}

/** Of a chain of causes, so many are told. */
const MAX_CAUSES = 10;

/** A copy of an error for logs and histories: its name, its frames and its causes, with messages that quote nothing. */
export function withoutContent(error: unknown, remaining = MAX_CAUSES): Error {
  const { name = 'Error', stack = '', cause } = (typeof error === 'object' && error !== null ? error : {}) as { readonly name?: string; readonly stack?: string; readonly cause?: unknown };
  const copy = new Error(messageOf(error), cause === undefined || remaining === 0 ? undefined : { cause: withoutContent(cause, remaining - 1) });
  copy.name = name;
  copy.stack = `${name}: ${copy.message}${framesOf(stack)}`;
  return copy;
}

/** A stack begins with the message, whatever that is. */
function framesOf(stack: string): string {
  return /(\n {4}at [^\n]*)*$/.exec(stack)?.[0] ?? '';
}
