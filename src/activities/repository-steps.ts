import { Context } from '@temporalio/activity';
import { availableParallelism } from 'node:os';
import { parseDataShare } from '../core/data-share';
import { parseRetentionDuration } from '../core/retention-duration';
import { CheckProgress } from '../repository/check-progress';
import { checkRepository } from '../repository/check-repository';
import type { KeepRules } from '../schedule-models';
import { fromJsonPath, pathText } from '../storage/path-bytes';
import { LEFTOVERS_AFTER_MS } from '../storage/snapshot/leftovers';
import { snapshotNames } from '../storage/snapshot/snapshot-record';
import type { Problem } from '../storage/snapshot/check/problem';
import { attempt, type ActivityDependencies, type Attempted } from './operation';
import { destinationRoot } from './roots';
import { runSteps } from './run-step';
import { boundedText } from '../core/bounded-text';

/** What pruning came to, as history keeps it. */
export interface Pruned extends Attempted {
  readonly removedSnapshots: number;
  readonly keptSnapshots: number;
  readonly freedBytes: number;
  /** Of removed snapshots, what could not be deleted yet. */
  readonly problems: number;
  /** Snapshots that stay and count for no rule, since they cannot be restored; not answered by earlier workers. */
  readonly damagedSnapshots?: number;
}

/** What a check came to, as history keeps it. */
export interface Checked extends Attempted {
  readonly snapshots: number;
  readonly entries: number;
  readonly readFiles: number;
  readonly readBytes: number;
  readonly problems: number;
  /** The first few. */
  readonly sample: readonly { readonly snapshot: string; readonly path: string; readonly kind: string }[];
}

const SAMPLE = 20;
const MAX_TEXT_BYTES = 600;
const MS_PER_DAY = 86_400_000;

/** What is done to repositories besides snapshots. Each is safe to repeat. */
export function createRepositorySteps({ roots, pool }: ActivityDependencies) {
  return {
    /** Removes the snapshots of a host and set of sources that no rule keeps. Runs of earlier versions name no sources. */
    async pruneRepository({ repository, host, sources, keep }: { repository: string; host: string; sources?: readonly string[]; keep: KeepRules }): Promise<Pruned> {
      const root = destinationRoot(roots, repository);
      const { within, tags, ...counts } = keep;
      const policy = { ...counts, tags, within: within === undefined ? undefined : parseRetentionDuration(within) };
      const nowMs = Date.now();
      const request = { root, repository, policy, host, tags: [], sources: [], readData: false, dryRun: false, nowMs };
      const pruned = await runSteps(pool, (run) => run('pruneRepository', sources === undefined ? request : { ...request, followers: { host, sources } }));
      await runSteps(pool, (run) => run('sweepLeftovers', { root, repository, afterMs: LEFTOVERS_AFTER_MS, dryRun: false, nowMs }));
      const keptSnapshots = pruned.groups.reduce((sum, group) => sum + group.keep.length, 0);
      return { removedSnapshots: pruned.removedSnapshots, keptSnapshots, freedBytes: pruned.freedBytes, problems: pruned.problems.length, damagedSnapshots: pruned.damaged.length, attempt: attempt() };
    },

    /** Compares all snapshots with what they should be. */
    async checkRepository({ repository, readData }: { repository: string; readData: string | null }): Promise<Checked> {
      const root = destinationRoot(roots, repository);
      const share = readData === null ? null : (parseDataShare(readData, Math.floor(Date.now() / MS_PER_DAY)) ?? null);
      const progress = new CheckProgress();
      const onCancel = (): void => progress.cancel();
      const { cancellationSignal } = Context.current();
      cancellationSignal.addEventListener('abort', onCancel, { once: true });
      const sample: Problem[] = [];
      try {
        const checked = await runSteps(pool, async (run) => {
          await run('openRepository', { root, repository });
          const request = { repository, snapshots: snapshotNames(repository), share, lanes: availableParallelism() };
          return checkRepository(request, (step, input, control) => pool.run(step, input, control), progress, (problem) => void (sample.length < SAMPLE && sample.push(problem)));
        });
        const { snapshots, entries, readFiles, readBytes, problems } = checked;
        return { snapshots, entries, readFiles, readBytes, problems, sample: sample.map(sampled), attempt: attempt() };
      } finally {
        cancellationSignal.removeEventListener('abort', onCancel);
      }
    },
  };
}

function sampled({ snapshot, path, kind }: Problem): Checked['sample'][number] {
  return { snapshot, path: boundedText(pathText(fromJsonPath(path)), MAX_TEXT_BYTES), kind };
}
