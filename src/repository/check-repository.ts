import { join } from 'node:path';
import type { DataShare } from '../core/data-share';
import { lstatIfPresent } from '../storage/file-stat';
import type { ReadFrom } from '../storage/read-back';
import type { ExtraFound } from '../storage/snapshot/check/find-extra';
import { inodeMemory } from '../storage/snapshot/check/read-inodes';
import type { CheckPlan } from '../storage/snapshot/check/plan-check';
import { problemKinds, type Problem, type ProblemKind } from '../storage/snapshot/check/problem';
import type { MetadataRange } from '../storage/snapshot/metadata';
import { readRepository } from '../storage/snapshot/repository';
import type { CheckProgress } from './check-progress';
import { inLanes } from './lanes';
import type { RunStep } from './run-step';

/** What does not belong there and is named at once: a snapshot that something else was copied into may have millions of it. */
const EXTRA_LIMIT = 50_000;

export interface CheckRequest {
  /** Absolute, without links in it. */
  readonly repository: string;
  /** Names, oldest first. */
  readonly snapshots: readonly string[];
  /** Files whose bytes are read; null reads none. */
  readonly share: DataShare | null;
  /** Steps that run at a time. */
  readonly lanes: number;
}

/** What a check came to. */
export interface CheckCounts {
  readonly snapshots: number;
  readonly entries: number;
  readonly files: number;
  /** Each inode once, however many names it has. */
  readonly readFiles: number;
  readonly readBytes: number;
  /** Null when nothing was read. */
  readonly readFrom: ReadFrom | null;
  readonly problems: number;
  readonly kinds: Readonly<Record<ProblemKind, number>>;
  /** Snapshots that were removed meanwhile: nothing of them is wrong. */
  readonly gone: readonly string[];
}

interface PlannedSnapshot extends CheckPlan {
  readonly name: string;
}

/** A part of a snapshot, or with null the search for what does not belong there. */
interface CheckTask {
  readonly snapshot: PlannedSnapshot;
  readonly range: MetadataRange | null;
}

/**
 * Checks snapshots: their records first, then every entry, and the bytes of the files of a share. Only names what is
 * wrong, as it is found; memory does not grow with the number of problems.
 * @param found called with each problem
 * @throws what steps throw
 */
export async function checkRepository(request: CheckRequest, run: RunStep, progress: CheckProgress, found: (problem: Problem) => void): Promise<CheckCounts> {
  const check = new RepositoryCheck(request, run, progress, found);
  await check.records();
  await check.files();
  return check.counts();
}

class RepositoryCheck {
  private readonly planned = new Map<string, PlannedSnapshot>();
  private readonly kinds = Object.fromEntries(problemKinds.map((kind) => [kind, 0])) as Record<ProblemKind, number>;
  private readonly read = { readFiles: 0, readBytes: 0 };
  private readFrom: ReadFrom | null = null;
  private readonly gone = new Set<string>();

  constructor(
    private readonly request: CheckRequest,
    private readonly run: RunStep,
    private readonly progress: CheckProgress,
    private readonly found: (problem: Problem) => void,
  ) {}

  async records(): Promise<void> {
    const { repository, snapshots, share, lanes } = this.request;
    this.progress.enter('records', { count: snapshots.length, sizeBytes: 0 });
    await inLanes(lanes, snapshots, async (name) => {
      const plan = await this.progress.follow(
        (control) => this.run('planCheck', { repository, snapshot: name, share }, control),
        () => ({ count: 1, sizeBytes: 0 }),
      );
      this.report(name, plan.problems);
      if (!this.gone.has(name)) this.planned.set(name, { ...plan, problems: [], name });
    });
  }

  async files(): Promise<void> {
    this.progress.enter('files', { count: this.sum('entries'), sizeBytes: this.sum('shareBytes') });
    const inodes = inodeMemory(this.request.share === null ? 0 : this.sum('shareFiles'));
    await inLanes(this.request.lanes, this.tasks(), ({ snapshot, range }) => this.whileListed(snapshot.name, () => (range === null ? this.findExtra(snapshot) : this.checkPart(snapshot, range, inodes))));
  }

  counts(): CheckCounts {
    const problems = Object.values(this.kinds).reduce((total, count) => total + count, 0);
    return { snapshots: this.request.snapshots.length - this.gone.size, entries: this.sum('entries'), files: this.sum('files'), ...this.read, readFrom: this.readFrom, problems, kinds: this.kinds, gone: [...this.gone].sort() };
  }

  /** Oldest snapshot first, whichever was planned first. */
  private *tasks(): Generator<CheckTask> {
    for (const name of this.request.snapshots) {
      const snapshot = this.planned.get(name);
      if (snapshot === undefined || snapshot.partEnds.length === 0) continue;
      yield { snapshot, range: null };
      let start = 0;
      for (const end of snapshot.partEnds) {
        yield { snapshot, range: { start, end } };
        start = end;
      }
    }
  }

  private async checkPart({ name, sources }: PlannedSnapshot, range: MetadataRange, inodes: SharedArrayBuffer): Promise<void> {
    const { repository, share } = this.request;
    const part = await this.progress.follow(
      (control) => this.run('checkSnapshotPart', { repository, snapshot: name, sources, range, share, inodes }, control),
      ({ entries, shareBytes }) => ({ count: entries, sizeBytes: shareBytes }),
    );
    this.read.readFiles += part.readFiles;
    this.read.readBytes += part.readBytes;
    if (part.readFrom !== undefined && this.readFrom !== 'cache') this.readFrom = part.readFrom;
    this.report(name, part.problems);
  }

  private async findExtra({ name }: PlannedSnapshot): Promise<void> {
    const { repository } = this.request;
    let after: string | null = null;
    do {
      const extra: ExtraFound = await this.progress.follow(
        (control) => this.run('findExtra', { repository, snapshot: name, after, limit: EXTRA_LIMIT }, control),
        () => ({ count: 0, sizeBytes: 0 }),
      );
      this.report(name, extra.problems);
      after = extra.next;
    } while (after !== null && !this.gone.has(name));
  }

  /** Somebody may remove a snapshot while it is looked at: what fails then is no failure. */
  private async whileListed(name: string, check: () => Promise<void>): Promise<void> {
    if (this.gone.has(name)) return;
    try {
      await check();
    } catch (error) {
      if (this.isListed(name)) throw error;
    }
  }

  /** @throws StorageError `RepositoryNotFound` where the whole repository is gone */
  private isListed(name: string): boolean {
    const { repository } = this.request;
    if (lstatIfPresent(join(repository, name)) !== undefined) return true;
    readRepository(repository);
    this.gone.add(name);
    this.planned.delete(name);
    return false;
  }

  private report(name: string, problems: readonly Problem[]): void {
    if (problems.length > 0 && !this.isListed(name)) return;
    for (const problem of problems) {
      this.kinds[problem.kind] += 1;
      this.found(problem);
    }
  }

  private sum(field: 'entries' | 'files' | 'shareFiles' | 'shareBytes'): number {
    return [...this.planned.values()].reduce((total, snapshot) => total + snapshot[field], 0);
  }
}
