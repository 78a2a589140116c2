import { statfsSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { SyncShell } from './sync-shell';

/** File systems whose syncfs(2) reports write-back errors, from Linux 5.8 on: ext4, xfs, btrfs. */
const trusted = [0xef53, 0x58465342, 0x9123683e];

/** True when one `sync -f` makes everything on the directory's file system durable, or says that it did not. */
export function canSyncFileSystem(directory: string): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  // The shell that syncs takes one directory a line.
  if (process.platform !== 'linux' || directory.includes('\n')) return false;
  return (major > 5 || (major === 5 && minor >= 8)) && trusted.includes(typeOf(directory));
}

/** 0 for a directory that is away: whoever writes there finds out, and says it in its own words. */
function typeOf(directory: string): number {
  try {
    return statfsSync(directory).type;
  } catch {
    return 0;
  }
}

/** Syncs of one file system: the one that runs, and the one that all who came meanwhile wait for. */
interface Group {
  readonly sync: (directory: string) => Promise<unknown>;
  running: Promise<void> | undefined;
  next: Promise<void> | undefined;
}

/**
 * Makes what was written to a file system durable, once for all who wait: one sync at a time, and whoever comes while
 * one runs shares the next. A failure is reported by Linux once, so it is everybody's who has written since the last
 * sync that succeeded: also of those who wait for the next, and of those who were still writing. File systems are told
 * apart by device number, failures are not, since some have several.
 */
export class FileSystemSync {
  private readonly groups = new Map<number, Group>();
  private failures = 0;

  /** @param createSync what syncs one file system; coreutils' `sync -f` unless a test says otherwise */
  constructor(private readonly createSync: () => Group['sync'] = shellSync) {}

  /** Syncs the file systems of these directories for somebody who begins to write now, and fails if any sync has failed since. */
  since(...directories: readonly string[]): () => Promise<void> {
    const { failures } = this;
    return async () => {
      if (this.failures === failures) await Promise.all(directories.map((directory) => this.request(directory)));
      if (this.failures !== failures) throw new Error(`A sync has failed since this began to write to ${directories.join(', ')}`);
    };
  }

  async request(directory: string): Promise<void> {
    const group = this.groupOf(statSync(directory).dev);
    if (group.running === undefined) return this.start(group, directory);
    // A failure of the running one rejects this as well, and then nothing is started.
    group.next ??= group.running.then(() => this.start(group, directory));
    return group.next;
  }

  private groupOf(device: number): Group {
    const group = this.groups.get(device) ?? { sync: this.createSync(), running: undefined, next: undefined };
    this.groups.set(device, group);
    return group;
  }

  private start(group: Group, directory: string): Promise<void> {
    group.next = undefined;
    const running = group.sync(directory).then(
      () => undefined,
      (error: unknown) => {
        this.failures += 1;
        throw error;
      },
    );
    group.running = running;
    const done = (): void => {
      if (group.running === running) group.running = undefined;
    };
    running.then(done, done);
    return running;
  }
}

function shellSync(): Group['sync'] {
  const shell = new SyncShell();
  return (directory) => shell.sync(directory);
}
