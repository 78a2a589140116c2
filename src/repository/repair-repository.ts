import { bytewise, fromJsonPath } from '../storage/path-bytes';
import type { Problem } from '../storage/snapshot/check/problem';
import type { CheckProgress } from './check-progress';
import type { RunStep } from './run-step';

export interface RepairRequest {
  /** Absolute, without links in it. */
  readonly repository: string;
  /** Of the whole repository: any of them may have an intact copy. */
  readonly snapshots: readonly string[];
  readonly problems: readonly Problem[];
}

/** What became of a problem; null is a success. */
export type RepairOutcome = (problem: Problem, reason: string | null) => void;

/** Problems of one step: each goes through the metadata of the whole repository. */
const STEP_PROBLEMS = 1_000;

/** Problems that are kept in memory for repair; with more, a check is to be repeated afterwards. */
const KEPT_PROBLEMS = 100_000;

/** Collects problems for repair, as many as memory allows. */
export class ProblemsToRepair {
  readonly problems: Problem[] = [];

  add(problem: Problem): void {
    if (this.problems.length < KEPT_PROBLEMS) this.problems.push(problem);
  }
}

/**
 * Repairs what a check has found, one step at a time, and says of each problem what became of it.
 * @returns how many were repaired
 * @throws what steps throw
 */
export async function repairRepository({ repository, snapshots, problems }: RepairRequest, run: RunStep, progress: CheckProgress, outcome: RepairOutcome): Promise<number> {
  progress.enter('repair', { count: problems.length, sizeBytes: 0 });
  let repaired = 0;
  for (const part of stepsOf(problems)) {
    const [first] = part;
    if (first === undefined) continue;
    const { reasons } = await progress.follow(
      (control) => run('repairSnapshot', { repository, snapshot: first.snapshot, snapshots, problems: part }, control),
      () => ({ count: part.length, sizeBytes: 0 }),
    );
    part.forEach((problem, index) => outcome(problem, reasons[index] ?? null));
    repaired += part.filter((_, index) => reasons[index] === null).length;
  }
  return repaired;
}

/** Snapshot by snapshot, directories before what is in them. */
function* stepsOf(problems: readonly Problem[]): Generator<Problem[]> {
  const bySnapshot = new Map<string, { problem: Problem; key: string }[]>();
  for (const problem of problems) {
    const one = { problem, key: bytewise(fromJsonPath(problem.path)).replaceAll('/', '\0') };
    const others = bySnapshot.get(problem.snapshot);
    if (others === undefined) bySnapshot.set(problem.snapshot, [one]);
    else others.push(one);
  }
  for (const [, all] of [...bySnapshot].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const sorted = all.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ problem }) => problem);
    for (let start = 0; start < sorted.length; start += STEP_PROBLEMS) yield sorted.slice(start, start + STEP_PROBLEMS);
  }
}
