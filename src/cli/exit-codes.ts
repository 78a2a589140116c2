import type { FailureType } from '../failures';

/** Exit codes, as restic's where both have the case. Scripts must take any other code for a failure. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  notFound: 10,
  noServer: 20,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** For the end of a command's help. */
export const exitCodeHelp = helpOf('all done', ['1    the backup failed; nothing was left behind']);

export const batchExitCodeHelp = helpOf('every file is backed up', ['1    the batch as a whole failed or was cancelled; the message says what was undone', '3    done, but some files failed or were skipped']);

export const snapshotExitCodeHelp = helpOf('the snapshot is complete', ['1    the snapshot could not be made or was cancelled; nothing of it was left behind', '3    the snapshot is partial: some entries failed', '10   there is no such repository, or no such parent snapshot']);

export const restoreExitCodeHelp = helpOf('everything is restored', ['1    the restore as a whole failed or was cancelled; what is restored stays', '3    done, but some entries failed', '10   there is no such repository or snapshot']);

function helpOf(done: string, failed: readonly string[]): string {
  return [
    '',
    'Exit codes:',
    `  0    ${done}`,
    ...[...failed, '2    usage: options or input are wrong, nothing was started'].sort((a, b) => Number.parseInt(a) - Number.parseInt(b)).map((line) => `  ${line}`),
    '  20   no Temporal server to be had, nothing was started',
    '  130  interrupted; the message says who continues the run',
  ].join('\n');
}

/** For commands that only look at a repository, or work on it by themselves. */
export function repositoryExitCodeHelp(done: string, others: readonly string[] = ['1    failed; the message says why']): string {
  const lines = [`0    ${done}`, ...[...others, '2    usage: options or arguments are wrong'].sort(), '10   no such repository or snapshot'];
  return ['', 'Exit codes:', ...lines.map((line) => `  ${line}`)].join('\n');
}

/** The run could not be followed to its end: exit 130, since it is not over. */
export class LostRunError extends Error {
  override readonly name = 'LostRunError';
  readonly errorCode = 'RunLost' satisfies FailureType;
}

/** Input of a person that is wrong: exit 2, nothing was started. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly errorCode = 'InvalidInput' satisfies FailureType;
  /** One for each thing that is wrong. */
  readonly lines: readonly string[];

  constructor(...lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}
