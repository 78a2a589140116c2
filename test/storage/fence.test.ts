import * as fs from 'node:fs';
import { join } from 'node:path';
import { StorageError } from '../../src/storage/errors';
import { contentOf, makeFolder, memoryFolder, openDescriptors, removeFolder, sha256, treeOf } from '../helpers/files';
import { Operation, writePrevious } from './operation';
import { errnoError, interceptFs } from './patched-fs';

jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));

/**
 * Attempts may overlap: one that timed out goes on late, behind the back of what was decided meanwhile. Each test
 * stops a step before its k-th file system call, lets everything else happen there, and lets the step go on: for every k.
 */
interface Mode {
  readonly previous: boolean;
  readonly hardLinks: boolean;
}

const modes: [string, Mode][] = [
  ['a previous target', { previous: true, hardLinks: true }],
  ['a new target', { previous: false, hardLinks: true }],
  ['a previous target without hard links', { previous: true, hardLinks: false }],
  ['a new target without hard links', { previous: false, hardLinks: false }],
];

const newContent = contentOf(1, 3000);
const otherContent = contentOf(2, 4000);

let folder: string;
beforeEach(() => {
  folder = makeFolder(memoryFolder());
});
afterEach(() => removeFolder(folder));

class Race {
  readonly root = fs.mkdtempSync(join(folder, 'race-'));
  readonly target = join(this.root, 'target');
  readonly operation: Operation;
  readonly before: Record<string, string>;

  constructor(private readonly mode: Mode) {
    fs.writeFileSync(join(this.root, 'source'), newContent);
    fs.writeFileSync(join(this.root, 'other'), otherContent);
    if (mode.previous) writePrevious(this.target);
    this.before = treeOf(this.root);
    this.operation = new Operation(this.root, join(this.root, 'source'), this.target);
    this.alone(() => this.operation.readyToPublish());
  }

  /** Runs calls on this file system, with nobody else about. */
  alone<T>(calls: () => T): T {
    const { linkSync } = fs;
    if (!this.mode.hardLinks) (fs as { linkSync: unknown }).linkSync = () => { throw errnoError('EPERM', 1); };
    try {
      return calls();
    } finally {
      (fs as { linkSync: unknown }).linkSync = linkSync;
    }
  }

  /** Stops the late step before its k-th call, lets the others work there, and goes on. False when it made fewer calls. */
  interrupt(k: number, late: () => void, meanwhile: () => void): boolean {
    let count = 0;
    this.alone(() => {
      const restore = interceptFs((_call, proceed) => {
        count += 1;
        if (count === k) meanwhile();
        return proceed();
      });
      try {
        late();
      } catch (error) {
        // A late attempt may fail in any way that storage knows: nobody listens to it any more.
        if (!(error instanceof StorageError)) throw error;
      } finally {
        restore();
      }
    });
    return count >= k;
  }

  /** Another run takes over the target. */
  backUpOther(): void {
    new Operation(this.root, join(this.root, 'other'), this.target).complete();
  }

  requireAsBefore(): void {
    const now = treeOf(this.root);
    if (this.mode.hardLinks) expect(now).toEqual(this.before);
    else expect(withoutInodes(now)).toEqual(withoutInodes(this.before));
  }

  requireTarget(content: Buffer): void {
    expect(sha256(fs.readFileSync(this.target))).toBe(sha256(content));
    expect(fs.readdirSync(this.root).sort()).toEqual(['other', 'source', 'target']);
  }
}

function withoutInodes(tree: Record<string, string>): string[] {
  return Object.entries(tree).map(([name, entry]) => `${name}: ${entry.replace(/inode \d+ mtime (\d+)\d{3} /, 'mtime $1 ')}`);
}

/** For every k, until the late step is over before its k-th call. */
function forEveryStop(mode: Mode, race: (race: Race, k: number) => boolean): number {
  for (let k = 1; ; k += 1) {
    if (!race(new Race(mode), k)) return k - 1;
  }
}

describe.each(modes)('%s', (_title, mode) => {
  test('a publish that goes on after the whole undo changes nothing and leaves nothing', () => {
    const stops = forEveryStop(mode, (race, k) => {
      const happened = race.interrupt(k, () => race.operation.publish(), () => race.operation.undo());
      if (!happened) race.alone(() => race.operation.undo());
      race.requireAsBefore();
      return happened;
    });
    expect(stops).toBeGreaterThan(5);
  });

  test('a publish that goes on after the undo and another run\'s backup leaves that one\'s target alone', () => {
    forEveryStop(mode, (race, k) => {
      const others = (): void => {
        race.operation.undo();
        race.backUpOther();
      };
      const happened = race.interrupt(k, () => race.operation.publish(), others);
      if (!happened) race.alone(others);
      race.requireTarget(otherContent);
      return happened;
    });
  });

  test('a publish that goes on after a second one and the commit leaves the published target', () => {
    forEveryStop(mode, (race, k) => {
      const others = (): void => {
        race.operation.publish();
        race.operation.finalize();
      };
      const happened = race.interrupt(k, () => race.operation.publish(), others);
      if (!happened) race.alone(others);
      race.requireTarget(newContent);
      return happened;
    });
  });

  test('a publish that runs in the midst of the undo is either taken back or finds nothing', () => {
    forEveryStop(mode, (race, k) => {
      const publish = (): void => {
        try {
          race.operation.publish();
        } catch (error) {
          if (!(error instanceof StorageError)) throw error;
        }
      };
      const happened = race.interrupt(k, () => race.operation.undo(), publish);
      race.requireAsBefore();
      return happened;
    });
  });

  test('an undo that overlaps a second one ends as one does', () => {
    forEveryStop(mode, (race, k) => {
      race.alone(() => race.operation.publish());
      const happened = race.interrupt(k, () => race.operation.undo(), () => race.operation.undo());
      race.requireAsBefore();
      return happened;
    });
  });

  test('an undo that goes on after a second one and another run\'s backup leaves that one\'s target alone', () => {
    forEveryStop(mode, (race, k) => {
      race.alone(() => race.operation.publish());
      const others = (): void => {
        race.operation.undo();
        race.backUpOther();
      };
      const happened = race.interrupt(k, () => race.operation.undo(), others);
      if (!happened) race.alone(() => race.backUpOther());
      race.requireTarget(otherContent);
      return happened;
    });
  });

  test('a commit that overlaps a second one, and another run\'s backup after it, leaves what that one published', () => {
    forEveryStop(mode, (race, k) => {
      race.alone(() => race.operation.publish());
      const others = (): void => {
        race.operation.finalize();
        race.backUpOther();
      };
      const happened = race.interrupt(k, () => race.operation.finalize(), others);
      if (!happened) race.alone(() => race.backUpOther());
      race.requireTarget(otherContent);
      return happened;
    });
  });

  test('a commit that overlaps the janitor\'s clean-up of the same closed run keeps the published target', () => {
    forEveryStop(mode, (race, k) => {
      race.alone(() => race.operation.publish());
      const janitor = (): void => {
        try {
          race.operation.discard();
        } catch (error) {
          // It may refuse to delete a kept previous target, and tries again later.
          if (!(error instanceof StorageError) || error.code !== 'RollbackFailed') throw error;
        }
      };
      const happened = race.interrupt(k, () => race.operation.finalize(), janitor);
      race.alone(() => race.operation.finalize());
      race.requireTarget(newContent);
      return happened;
    });
  });

  test('a copy that goes on after the undo leaves nothing', () => {
    forEveryStop(mode, (race, k) => {
      const undo = (): void => {
        try {
          race.operation.undo();
        } catch (error) {
          // The late copy may be adding a file just now: the undo is tried again.
          if (!(error instanceof StorageError)) throw error;
        }
      };
      const happened = race.interrupt(k, () => race.operation.stage(), undo);
      race.alone(() => race.operation.undo());
      race.requireAsBefore();
      return happened;
    });
  });
});

test('no descriptor stays open over all these races', () => {
  const before = openDescriptors();
  forEveryStop({ previous: true, hardLinks: true }, (race, k) => race.interrupt(k, () => race.operation.publish(), () => race.operation.undo()));
  expect(openDescriptors()).toBe(before);
});
