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
 * one runs shares the next. A failure is reported by Linux once, so it is everybody's: also of those who wait for the next.
 */
export class FileSystemSync {
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;

  /** @param sync what syncs the directory's file system; coreutils' `sync -f` unless a test says otherwise */
  constructor(private readonly sync: (directory: string) => Promise<unknown> = (directory) => run('sync', ['-f', directory])) {}

  request(directory: string): Promise<void> {
    if (this.running === undefined) return this.start(directory);
    // A failure of the running one rejects this as well, and then nothing is started.
    this.next ??= this.running.then(() => this.start(directory));
    return this.next;
  }

  private start(directory: string): Promise<void> {
    this.next = undefined;
    const running = this.sync(directory).then(() => undefined);
    this.running = running;
    const done = (): void => {
      if (this.running === running) this.running = undefined;
    };
    running.then(done, done);
    return running;
  }
}
