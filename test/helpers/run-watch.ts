import * as fs from 'node:fs';
import { join } from 'node:path';

/** Names in a run's directory that tests rely on. */
export const runNames = {
  journal: 'journal',
  /** Journal of a chunk that is done. */
  journalFile: /^\d+\.ndjson$/,
  staging: 'staging',
  /** Where an attempt stages, with the number of its chunk. */
  attempt: /^(\d+)-/,
  /** Most files of a chunk. */
  chunkFiles: 1000,
  records: ['failures.ndjson', 'manifest.ndjson', 'owner.json', 'summary.json'],
} as const;

/** What is known of a chunk once its journal is there: from then on none of it may change. */
interface DoneChunk {
  readonly journal: string;
  readonly identity: string;
  /** Inode by path. */
  readonly targets: ReadonlyMap<string, bigint>;
}

/** What a look at a run found. */
export interface Look {
  readonly doneChunks: number;
  /** Chunks that somebody was at work on. */
  readonly inFlight: readonly number[];
}

/** Looks at a batch from outside while it runs, by its files alone, and remembers what must not be done twice. */
export class RunWatch {
  private readonly done = new Map<string, DoneChunk>();
  private readonly seenAttempts = new Set<string>();
  private readonly interrupted = new Map<number, number>();

  constructor(private readonly destination: string) {}

  /** The run's directory, once it is there. */
  directory(): string | undefined {
    const runs = join(this.destination, '.file-backup', 'runs');
    const [name] = namesIn(runs);
    return name === undefined ? undefined : join(runs, name);
  }

  /** Names of journals of chunks that are done. */
  journals(): string[] {
    return this.names(runNames.journal).filter((name) => runNames.journalFile.test(name));
  }

  /** Attempts whose directories are there, dead ones among them. */
  attempts(): string[] {
    const attempts = this.names(runNames.staging).filter((name) => runNames.attempt.test(name));
    for (const attempt of attempts) this.seenAttempts.add(attempt);
    return attempts;
  }

  /** Files in an attempt's directory. */
  staged(attempt: string): number {
    return this.names(join(runNames.staging, attempt)).length;
  }

  /** A look at the moment of a kill: remembers chunks that are done by now, and those that are under way. */
  look(): Look {
    const journals = this.journals();
    for (const name of journals) if (!this.done.has(name)) this.done.set(name, this.readChunk(name));
    const doneChunks = new Set(journals.map((name) => Number.parseInt(name, 10)));
    const inFlight = [...new Set(this.attempts().map(chunkOf))].filter((chunk) => !doneChunks.has(chunk));
    for (const chunk of inFlight) this.interrupted.set(chunk, (this.interrupted.get(chunk) ?? 0) + 1);
    return { doneChunks: journals.length, inFlight };
  }

  /** Attempts beyond the first of their chunks, as far as they were seen. */
  repeats(): number {
    return [...this.attemptsByChunk().values()].reduce((sum, count) => sum + count - 1, 0);
  }

  /** Chunks that were attempted more often than they were under way at a kill. */
  needlessRepeats(): string[] {
    return [...this.attemptsByChunk()].flatMap(([chunk, attempts]) => {
      const kills = this.interrupted.get(chunk) ?? 0;
      return attempts <= 1 + kills ? [] : [`chunk ${chunk} was attempted ${attempts} times and met by ${kills} kills`];
    });
  }

  /** Chunks that were done at an earlier look and have been written again since. The journal itself goes when the run is over. */
  doneTwice({ isOver }: { readonly isOver: boolean }): string[] {
    return [...this.done.values()].flatMap(({ journal, identity, targets }) => [
      ...(isOver || identityOf(this.journalPath(journal)) === identity ? [] : [`journal ${journal} was written again`]),
      ...[...targets].filter(([path, inode]) => fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino !== inode).map(([path]) => `${path} was copied again`),
    ]);
  }

  private attemptsByChunk(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const attempt of this.seenAttempts) counts.set(chunkOf(attempt), (counts.get(chunkOf(attempt)) ?? 0) + 1);
    return counts;
  }

  private readChunk(journal: string): DoneChunk {
    const path = this.journalPath(journal);
    const lines = fs.readFileSync(path, 'utf8').split('\n').filter((line) => line.includes('"target"'));
    const targets = lines.map((line) => join(this.destination, (JSON.parse(line) as { target: string }).target));
    return { journal, identity: identityOf(path), targets: new Map(targets.map((target) => [target, fs.lstatSync(target, { bigint: true }).ino])) };
  }

  private journalPath(name: string): string {
    return join(this.directory() ?? '', runNames.journal, name);
  }

  private names(entry: string): string[] {
    const directory = this.directory();
    return directory === undefined ? [] : namesIn(join(directory, entry));
  }
}

function chunkOf(attempt: string): number {
  return Number(runNames.attempt.exec(attempt)?.[1]);
}

function identityOf(path: string): string {
  const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? 'gone' : `${stats.ino} ${stats.mtimeNs}`;
}

/** None when the directory is not there, or not any more. */
export function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
