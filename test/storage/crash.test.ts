import * as fs from 'node:fs';
import { join } from 'node:path';
import { contentOf, makeFolder, memoryFolder, openDescriptors, removeFolder, sha256, treeOf } from '../helpers/files';
import { Operation, writePrevious } from './operation';
import { Crash, crashing } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

/** The process dies at every call that changes something; the step that died is repeated, as Temporal repeats it. */
interface Case {
  readonly previous: boolean;
  readonly hardLinks: boolean;
  /** The call during which it dies is half done: a file is created and written to its half. */
  readonly halfDone: boolean;
}

const cases: [string, Case][] = [true, false].flatMap((previous) =>
  [true, false].flatMap((hardLinks) =>
    [true, false].map((halfDone): [string, Case] => [
      `${previous ? 'a previous target' : 'a new target'}${hardLinks ? '' : ' without hard links'}${halfDone ? ', calls half done' : ''}`,
      { previous, hardLinks, halfDone },
    ]),
  ),
);

const newContent = contentOf(1, 3000);
const oldContent = contentOf(2, 2000).toString('hex');
const steps = { forward: ['prepare', 'stage', 'verify', 'publish', 'finalize'], back: ['unpublish', 'discard'] } as const;
type StepName = (typeof steps.forward)[number] | (typeof steps.back)[number];

/** More calls than any sequence makes. */
const ENDLESS = 1000;

let folder: string;
beforeEach(() => {
  folder = makeFolder(memoryFolder());
});
afterEach(() => removeFolder(folder));

/** One round in a folder of its own, which is gone afterwards. */
class Round {
  readonly root: string;
  readonly target: string;
  readonly before: Record<string, string>;
  readonly operation: Operation;
  private simulation = { crashed: (): boolean => false, restart: (): void => undefined };

  constructor(private readonly test: Case) {
    this.root = fs.mkdtempSync(join(folder, 'round-'));
    fs.writeFileSync(join(this.root, 'source'), newContent, { mode: 0o640 });
    this.target = test.previous ? join(this.root, 'target') : join(this.root, 'a', 'b', 'target');
    if (test.previous) writePrevious(this.target, oldContent);
    this.before = treeOf(this.root);
    this.operation = new Operation(this.root, join(this.root, 'source'), this.target);
  }

  /** Runs steps that die at the n-th change, counted over all of them. True when one did. */
  runUntilCrash(nth: number, names: readonly StepName[]): { crashedIn: StepName | undefined; done: StepName[] } {
    const done: StepName[] = [];
    this.simulation = crashing(nth, this.test);
    try {
      for (const name of names) {
        try {
          this.operation[name]();
        } catch (error) {
          if (error instanceof Crash) return { crashedIn: name, done };
          throw error;
        }
        // Clean-up code may have swallowed it.
        if (this.simulation.crashed()) return { crashedIn: name, done };
        done.push(name);
      }
      return { crashedIn: undefined, done };
    } finally {
      this.simulation.restart();
      this.requireOldOrNew();
    }
  }

  run(names: readonly StepName[]): void {
    expect(this.runUntilCrash(ENDLESS, names).crashedIn).toBeUndefined();
  }

  undo(): void {
    this.simulation = crashing(ENDLESS, this.test);
    try {
      this.operation.undo();
    } finally {
      this.simulation.restart();
    }
  }

  /** At no moment anything else, and never a part of it. */
  requireOldOrNew(): void {
    const found = fs.existsSync(this.target) ? sha256(fs.readFileSync(this.target)) : 'nothing';
    expect([this.test.previous ? sha256(oldContent) : 'nothing', sha256(newContent)]).toContain(found);
  }

  requirePublished(): void {
    expect(sha256(fs.readFileSync(this.target))).toBe(sha256(newContent));
    expect(fs.statSync(this.target).mode & 0o777).toBe(0o640);
    this.requireNothingLeft();
  }

  /** As if nothing had happened: without hard links a restored target is a copy, so another inode. */
  requireAsBefore(): void {
    const now = treeOf(this.root);
    if (this.test.hardLinks) expect(now).toEqual(this.before);
    else expect(withoutInodes(now)).toEqual(withoutInodes(this.before));
  }

  requireNothingLeft(): void {
    expect(Object.keys(treeOf(this.root)).filter((name) => name.includes('.file-backup-'))).toEqual([]);
  }

  end(): void {
    removeFolder(this.root);
  }
}

/** Nor the part of the time that a copy does not keep. */
function withoutInodes(tree: Record<string, string>): string[] {
  return Object.entries(tree).map(([name, entry]) => `${name}: ${entry.replace(/inode \d+ mtime (\d+)\d{3} /, 'mtime $1 ')}`);
}

/** Runs a round for each n until one gets through without dying; tells how often it died. */
function forEveryCrash(test: Case, round: (round: Round, nth: number) => boolean): number {
  for (let nth = 1; ; nth += 1) {
    if (nth > ENDLESS) throw new Error('The sequence does not end');
    const current = new Round(test);
    const died = round(current, nth);
    current.end();
    if (!died) return nth - 1;
  }
}

describe.each(cases)('%s', (_title, mode) => {
  test('a death at any moment, and the step repeated, ends in a published target with nothing left over', () => {
    const deaths = forEveryCrash(mode, (round, nth) => {
      const { crashedIn, done } = round.runUntilCrash(nth, steps.forward);
      round.run(steps.forward.slice(done.length));
      round.requirePublished();
      return crashedIn !== undefined;
    });
    expect(deaths).toBeGreaterThan(20);
  });

  test('a death at any moment before the commit, and undo, ends with everything as it was', () => {
    const forward = steps.forward.slice(0, -1);
    const deaths = forEveryCrash(mode, (round, nth) => {
      const { crashedIn } = round.runUntilCrash(nth, forward);
      round.undo();
      round.requireAsBefore();
      return crashedIn !== undefined;
    });
    expect(deaths).toBeGreaterThan(15);
  });

  test('a death at any moment of undo, and the step repeated, ends with everything as it was', () => {
    const deaths = forEveryCrash(mode, (round, nth) => {
      round.run(['prepare', 'stage', 'publish']);
      const { crashedIn, done } = round.runUntilCrash(nth, steps.back);
      round.run(steps.back.slice(done.length));
      round.requireAsBefore();
      return crashedIn !== undefined;
    });
    expect(deaths).toBeGreaterThan(5);
  });

  test('a death during publish, and another one at any moment of its undo, ends with everything as it was', () => {
    let rounds = 0;
    forEveryCrash(mode, (outer, nthForward) => {
      let died = false;
      forEveryCrash(mode, (round, nthBack) => {
        round.run(['prepare', 'stage']);
        died = round.runUntilCrash(nthForward, ['publish']).crashedIn !== undefined;
        const { crashedIn, done } = round.runUntilCrash(nthBack, steps.back);
        round.run(steps.back.slice(done.length));
        round.requireAsBefore();
        rounds += 1;
        return crashedIn !== undefined;
      });
      outer.requireOldOrNew();
      return died;
    });
    expect(rounds).toBeGreaterThan(10);
  });

  test('a death at any moment, the step repeated until it dies once more, and undo, ends with everything as it was', () => {
    const forward = steps.forward.slice(0, -1);
    forEveryCrash(mode, (round, nth) => {
      const { crashedIn, done } = round.runUntilCrash(nth, forward);
      round.runUntilCrash(2, forward.slice(done.length));
      round.undo();
      round.requireAsBefore();
      return crashedIn !== undefined;
    });
  });
});

test('no descriptor stays open over all these deaths', () => {
  const before = openDescriptors();
  forEveryCrash({ previous: true, hardLinks: false, halfDone: true }, (round, nth) => {
    const { crashedIn } = round.runUntilCrash(nth, steps.forward.slice(0, -1));
    round.undo();
    return crashedIn !== undefined;
  });
  expect(openDescriptors()).toBe(before);
});
