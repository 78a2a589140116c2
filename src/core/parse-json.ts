/** Text that is no JSON. Says where and how long, and never what: parsers quote what they could not read. */
export class MalformedJsonError extends SyntaxError {
  override readonly name = 'MalformedJsonError';
}

/**
 * Parses JSON, as `JSON.parse` does.
 * @throws MalformedJsonError that names the position in characters and quotes nothing
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // Without it as the cause: logs and histories print causes.
    throw new MalformedJsonError(`${text.length} characters that are no JSON${positionIn(error)}`);
  }
}

/** Where the parser says so. */
function positionIn(error: unknown): string {
  const position = error instanceof Error ? / at position (\d+)(?: \(line|$)/.exec(error.message)?.[1] : undefined;
  return position === undefined ? '' : `, from character ${position} on`;
}
