import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { absoluteEntries } from '../core/search-path';

type Shell = ChildProcessByStdio<Writable, Readable, null>;

/** Syncs the file system of each directory that it is told, and answers with what was said about it and the exit code: by one pipe, so that these come in order. */
const SCRIPT = 'while IFS= read -r directory; do sync -f -- "$directory" 2>&1; echo "ended with $?"; done';

const ANSWER = /^([^]*?)ended with (\d+)\n$/;

/** Of the system first: what else is on the user's PATH is for systems that keep their programs elsewhere. */
const SYSTEM_FOLDERS = ['/usr/bin', '/bin'];

const IDLE_MS = 30_000;

/**
 * Runs coreutils' `sync -f` through a shell that stays for a while: starting a process from a large one copies its page
 * tables, and every thread then faults on the pages that it writes. One sync at a time. The shell ends with us, since it
 * reads from a pipe of ours.
 */
export class SyncShell {
  private shell: Shell | undefined;
  private idle: NodeJS.Timeout | undefined;

  /** @throws Error with what `sync` said */
  async sync(directory: string): Promise<void> {
    if (directory.includes('\n')) throw new Error(`A directory with a line break in its name cannot be synced: ${JSON.stringify(directory)}`);
    clearTimeout(this.idle);
    const shell = (this.shell ??= this.start());
    try {
      await answerOf(shell, directory);
    } finally {
      this.idle = setTimeout(() => this.end(), IDLE_MS).unref();
    }
  }

  private start(): Shell {
    const PATH = [...SYSTEM_FOLDERS, ...absoluteEntries(process.env.PATH ?? '')].join(':');
    // Nothing of the working directory or the environment decides what is run there.
    const shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'pipe', 'ignore'], cwd: '/', env: { PATH } });
    const forget = (): void => {
      if (this.shell === shell) this.shell = undefined;
    };
    shell.on('error', forget);
    shell.on('exit', forget);
    // Writing to a shell that is gone; its exit says so already.
    shell.stdin.on('error', forget);
    return shell;
  }

  private end(): void {
    this.shell?.stdin.end();
    this.shell = undefined;
  }
}

/** Keeps the process alive for as long as the answer takes, and no longer. */
function answerOf(shell: Shell, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const onData = (data: Buffer): void => {
      said += data.toString();
      const [answer, complaint = '', exitCode] = ANSWER.exec(said) ?? [];
      if (answer !== undefined) settle(exitCode === '0' ? undefined : new Error(complaint.trim() || `sync -f ended with ${exitCode}`));
    };
    const onEnd = (reason: Error | number | null): void => settle(reason instanceof Error ? reason : new Error(`The shell that syncs ended with ${reason}`));
    const settle = (error: Error | undefined): void => {
      shell.stdout.off('data', onData);
      shell.off('error', onEnd).off('exit', onEnd);
      setReferenced(shell, false);
      if (error === undefined) resolve();
      else reject(error);
    };
    shell.stdout.on('data', onData);
    shell.on('error', onEnd).on('exit', onEnd);
    setReferenced(shell, true);
    shell.stdin.write(`${directory}\n`);
  });
}

function setReferenced(shell: Shell, isNeeded: boolean): void {
  const handles = [shell, shell.stdin, shell.stdout] as { ref?: () => unknown; unref?: () => unknown }[];
  for (const handle of handles) (isNeeded ? handle.ref : handle.unref)?.call(handle);
}
