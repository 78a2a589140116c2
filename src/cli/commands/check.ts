import { availableParallelism } from 'node:os';
import { allData, parseDataShare, type DataShare } from '../../core/data-share';
import { CheckProgress } from '../../repository/check-progress';
import { checkRepository } from '../../repository/check-repository';
import { ProblemsToRepair, repairRepository, type RepairOutcome } from '../../repository/repair-repository';
import type { RunStep } from '../../repository/run-step';
import type { Problem } from '../../storage/snapshot/check/problem';
import type { FailureType } from '../../failures';
import { TransferControl } from '../../storage/control';
import { findLeftovers } from '../../storage/snapshot/leftovers';
import { readRepository } from '../../storage/snapshot/repository';
import { findSnapshot, snapshotNames } from '../../storage/snapshot/snapshot-record';
import { checkText, outcomeLine, problemLine, whatIsChecked } from '../check-report';
import { exitCodes, UsageError } from '../exit-codes';
import { followCheck } from '../follow-check';
import { leftoverLine, leftoversHelp } from '../leftovers';
import { localCommand } from '../local-command';
import { trustDestinationOption } from '../options';
import { createOutput, type Output } from '../output';
import { canonicalDirectory } from '../paths';

/** Reads from a device wait for it: twice as many threads as cores keep both busy. */
const THREADS_A_CORE = { look: 1, read: 2 };

const MS_PER_DAY = 86_400_000;

const exitCodeHelp = `
Exit codes:
  0    nothing is wrong, or all of it was repaired
  1    something is wrong
  2    usage: options are wrong, nothing was checked
  10   no such repository or snapshot`;

export const checkCommand = withOptionalShare(localCommand('check'))
  .description('compare snapshots with what their metadata says, and their files with their digests; names whatever is damaged, missing or extra')
  .argument('<repository>', 'directory')
  .argument('[snapshot...]', 'latest, names, or beginnings of ids; all snapshots without')
  .option('--read-data <share>', 'read files back as well: all of them, or with --read-data=5% another twentieth each day, with --read-data=3/7 the third of seven parts', parseShare)
  .option('--repair', 'replace what is damaged or missing by intact copies of other snapshots; nothing is written without', false)
  .option(...trustDestinationOption)
  .addHelpText('after', exitCodeHelp)
  .action(async (directory, wanted, options) => {
    const repository = canonicalDirectory(directory);
    readRepository(repository);
    const all = snapshotNames(repository);
    const snapshots = wanted.length === 0 ? all : [...new Set(wanted.map((name) => findSnapshot(repository, name)))].sort();
    const output = createOutput(options.json);
    const share = options.readData ?? null;
    if (!output.isJson) output.note(whatIsChecked(snapshots.length, share));
    const { ThreadPool } = await import('../../activities/thread-pool.js');
    const lanes = availableParallelism() * (share === null ? THREADS_A_CORE.look : THREADS_A_CORE.read);
    const pool = new ThreadPool(lanes, { trustDestinations: options.trustDestination });
    try {
      const run: RunStep = (step, input, control) => pool.run(step, input, control);
      const progress = new CheckProgress();
      const kept = new ProblemsToRepair();
      const found = (problem: Problem): void => {
        output.result('problem', problem, problemLine(problem));
        if (options.repair) kept.add(problem);
      };
      const counts = await followCheck(checkRepository({ repository, snapshots, share, lanes }, run, progress, found), progress, output);
      const outcome: RepairOutcome = (problem, reason) => output.result(reason === null ? 'repaired' : 'notRepaired', { ...problem, reason }, outcomeLine(problem, reason));
      const repaired = kept.problems.length === 0 ? 0 : await followCheck(repairRepository({ repository, snapshots: all, problems: kept.problems }, run, progress, outcome), progress, output);
      process.exitCode = repaired === counts.problems ? exitCodes.done : exitCodes.failed;
      const leftovers = showLeftovers(repository, output);
      output.result('result', { ...counts, repaired, leftovers, ...failureOf(counts.problems - repaired) }, checkText(counts, options.repair ? repaired : null));
    } finally {
      await pool.close();
    }
  });

/** For scripts, as every result has it. */
function failureOf(problems: number): { readonly errorCode: FailureType | null; readonly errorMessage: string | null } {
  return problems === 0 ? { errorCode: null, errorMessage: null } : { errorCode: 'SnapshotDamaged', errorMessage: `${problems} problems, each named in a line of its own` };
}

/** @returns how much there is */
function showLeftovers(repository: string, output: Output): number {
  const nowMs = Date.now();
  const leftovers = findLeftovers({ repository, nowMs }, new TransferControl());
  for (const leftover of leftovers) output.result('leftover', leftover, `left: ${leftoverLine(leftover, nowMs)}`);
  if (leftovers.length > 0 && !output.isJson) output.note(leftoversHelp);
  return leftovers.length;
}

/** A bare `--read-data` means all of it, and never takes the word after it, which is the repository. */
function withOptionalShare<Parser extends { parseOptions(words: string[]): unknown }>(command: Parser): Parser {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (words) => {
    const end = words.indexOf('--');
    return parse(words.map((word, index) => (word === '--read-data' && (end < 0 || index < end) ? '--read-data=100%' : word)));
  };
  return command;
}

function parseShare(text: string): DataShare {
  const share = text === '100%' ? allData : parseDataShare(text, Math.floor(Date.now() / MS_PER_DAY));
  if (share !== undefined) return share;
  throw new UsageError(`--read-data takes a percentage or a part, as --read-data=5% or --read-data=3/7, not "${text}"`);
}
