import { ApplicationFailure, CancellationScope, patched } from '@temporalio/workflow';
import type { Checked, Pruned } from '../activities';
import type { FailureType } from '../failures';
import type { ScheduledInput } from '../schedule-models';
import type { SnapshotOutput } from '../snapshot-models';
import { afterInterruptions } from './attempts';
import { repositorySteps } from './proxies';
import { noteScheduledEnd, recordOf, stepFailure, type StepFailure } from './scheduled-end';
import { enterStep, startScheduledRun, type ScheduledOptions, type ScheduledRun } from './scheduled-run';
import { takeInTurn, takeSnapshot } from './scheduled-turn';

/** What one time of a schedule came to; null for what was not asked for. In the details of a failure whatever could not be done is null, too. */
export interface ScheduledOutput {
  readonly snapshot: SnapshotOutput;
  readonly prune: Pruned | null;
  readonly check: Checked | null;
}

/**
 * What a schedule does each time: a snapshot by a run of its own, then pruning and a check where they are asked for.
 * Fails when there is no snapshot, when a source of it was lost (the others are in it, and nothing is pruned then), and
 * when the check finds something wrong: what a schedule shows as failed needs somebody's attention. A snapshot that is
 * partial for other reasons is none of that: its run says so.
 */
export async function scheduledSnapshot(input: ScheduledInput, options: ScheduledOptions): Promise<ScheduledOutput> {
  const run = startScheduledRun();
  // Runs of earlier versions go on as they began.
  return patched('scheduled-steps-apart') ? act(run, input, options) : actAtOnce(run, input, options);
}

/** Each step by itself: that pruning failed keeps nobody from checking. */
async function act(run: ScheduledRun, input: ScheduledInput, options: ScheduledOptions): Promise<ScheduledOutput> {
  const failures: StepFailure[] = [];
  const attempt = async <Result>(step: () => Promise<Result>): Promise<Result | null> => {
    try {
      return await step();
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      failures.push(stepFailure(error));
      return recordOf(error) as Result | null;
    }
  };
  const snapshot = await attempt(() => takeInTurn(run, input, options));
  // In the name of a snapshot that could not be made nothing is done; one that somebody else takes is no such.
  const goesOn = failures.every(({ type }) => type === 'TargetBusy');
  const lost = goesOn && snapshot !== null ? lossIn(input, snapshot) : undefined;
  // Earlier snapshots may be all that there is of a source.
  const prune = goesOn && lost === undefined ? await attempt(() => pruned(run, input)) : null;
  const check = goesOn ? await attempt(() => checked(run, input)) : null;
  failures.push(...[damageIn(input, check), lost].filter((found) => found !== undefined));
  enterStep(run, 'done');
  noteScheduledEnd(snapshot, failures);
  const [first] = failures;
  if (snapshot !== null && first === undefined) return { snapshot, prune, check };
  throw ApplicationFailure.nonRetryable(failures.map(({ message }) => message).join(' '), first?.type, { snapshot, prune, check });
}

async function actAtOnce(run: ScheduledRun, input: ScheduledInput, options: ScheduledOptions): Promise<ScheduledOutput> {
  const snapshot = await takeSnapshot(input, options);
  const lost = lossIn(input, snapshot);
  const mayPrune = lost === undefined || !patched('keep-all-while-a-source-is-lost');
  const prune = mayPrune ? await pruned(run, input) : null;
  const check = await checked(run, input);
  const failure = damageIn(input, check) ?? lost;
  if (failure !== undefined) throw ApplicationFailure.nonRetryable(failure.message, failure.type, { snapshot, prune, check });
  return { snapshot, prune, check };
}

async function pruned(run: ScheduledRun, { snapshot: { repository, host, sources }, prune: keep }: ScheduledInput): Promise<Pruned | null> {
  if (keep === null) return null;
  enterStep(run, 'prune');
  return afterInterruptions(() => repositorySteps.pruneRepository.executeWithOptions({ summary: 'prune' }, [{ repository, host, sources, keep }]));
}

async function checked(run: ScheduledRun, { snapshot: { repository }, check }: ScheduledInput): Promise<Checked | null> {
  if (check === null) return null;
  enterStep(run, 'check');
  return afterInterruptions(() => repositorySteps.checkRepository.executeWithOptions({ summary: 'check' }, [{ repository, readData: check.readData }]));
}

function damageIn({ snapshot: { repository } }: ScheduledInput, check: Checked | null): StepFailure | undefined {
  if (check === null || check.problems === 0) return undefined;
  return { type: 'SnapshotDamaged', message: `The check of ${repository} found ${check.problems} problems; look at them with: file-backup check` };
}

/** A named source that was not there, went away, or is empty where it was not; the first of them. */
function lossIn({ snapshot: { repository } }: ScheduledInput, { snapshot, failureSample, failuresByType }: SnapshotOutput): StepFailure | undefined {
  const type = losses.find((each) => (failuresByType[each] ?? 0) > 0);
  return type && { type, message: `The snapshot ${snapshot} of ${repository} is without a source: ${failureSample.find((failed) => failed.type === type)?.message ?? type}` };
}

const losses: readonly FailureType[] = ['SourceNotFound', 'SourceGone', 'SourceEmptied'];
