/** Levels of the structured log. Apart from log.ts, which loads the whole worker. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
