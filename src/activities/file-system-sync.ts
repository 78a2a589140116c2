import { execFile } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { release } from 'node:os';
import { promisify } from 'node:util';

/** File systems whose syncfs(2) reports write-back errors, from Linux 5.8 on: ext4, xfs, btrfs. */
const trusted = [0xef53, 0x58465342, 0x9123683e];

const run = promisify(execFile);

/** True when one `sync -f` makes everything on the directory's file system durable, or says that it did not. */
export function canSyncFileSystem(directory: string): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return process.platform === 'linux' && (major > 5 || (major === 5 && minor >= 8)) && trusted.includes(statfsSync(directory).type);
}

/**
 * Makes what was written to a file system durable, once for all who wait: one sync at a time, and whoever comes while
 * one runs shares the next. A failure is reported by Linux once, so it is everybody's who has written since the last
 * sync that succeeded: also of those who wait for the next, and of those who were still writing.
 */
export class FileSystemSync {
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;
  private failures = 0;

  /** @param sync what syncs the directory's file system; coreutils' `sync -f` unless a test says otherwise */
  constructor(private readonly sync: (directory: string) => Promise<unknown> = (directory) => run('sync', ['-f', directory])) {}

  /** Syncs for somebody who begins to write now, and fails if any has failed since. */
  since(directory: string): () => Promise<void> {
    const { failures } = this;
    return async () => {
      if (this.failures === failures) await this.request(directory);
      if (this.failures !== failures) throw new Error(`A sync of ${directory} has failed since this began to write`);
    };
  }

  request(directory: string): Promise<void> {
    if (this.running === undefined) return this.start(directory);
    // A failure of the running one rejects this as well, and then nothing is started.
    this.next ??= this.running.then(() => this.start(directory));
    return this.next;
  }

  private start(directory: string): Promise<void> {
    this.next = undefined;
    const running = this.sync(directory).then(
      () => undefined,
      (error: unknown) => {
        this.failures += 1;
        throw error;
      },
    );
    this.running = running;
    const done = (): void => {
      if (this.running === running) this.running = undefined;
    };
    running.then(done, done);
    return running;
  }
}
