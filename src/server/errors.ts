export { messageOf as reasonOf } from '../core/error-message';

/**
 * No Temporal server can be had: none could be found, downloaded, started or shared.
 * The message says what was tried and what the user can do; the command ends with exit code 20.
 */
export class NoTemporalServerError extends Error {
  override readonly name = 'NoTemporalServerError';
  readonly errorCode = 'NoTemporalServer';
  readonly lines: readonly string[];

  constructor(text: string | readonly string[], options?: ErrorOptions) {
    const lines = [text].flat();
    super(lines.join('\n'), options);
    this.lines = lines;
  }
}

/** The `code` of a Node system error, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
