/** Temporal's client says which call failed, and only the cause says why. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === 'ServiceError' && error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
