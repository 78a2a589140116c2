import * as fs from 'node:fs';
import { join } from 'node:path';
import { allData } from '../../src/core/data-share';
import { CheckProgress } from '../../src/repository/check-progress';
import { checkRepository } from '../../src/repository/check-repository';
import type { RunStep } from '../../src/repository/run-step';
import { TransferControl } from '../../src/storage/control';
import type { Problem } from '../../src/storage/snapshot/check/problem';
import { sweepRemoved, unlistSnapshot } from '../../src/storage/snapshot/remove-snapshot';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import { runHere } from '../helpers/check';
import { useFolder } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';

const folder = useFolder();
const repository = (): string => join(folder(), 'repository');
const source = (...names: string[]): string => join(folder(), 'source', ...names);
let names: string[];

beforeEach(() => {
  initRepository(repository());
  fs.mkdirSync(source());
  for (let index = 0; index < 5; index += 1) fs.writeFileSync(source(`file${index}`), `content ${index}`);
  names = [1, 2].map((day) => writeSnapshot(repository(), source(), { startedAt: new Date(Date.UTC(2026, 0, day)) }));
});

/** Checks everything, and does something just before the first step of that name. */
async function checkWith(step: string, act: () => void) {
  const problems: Problem[] = [];
  let isDone = false;
  const run: RunStep = (name, input, control) => {
    if (name === step && !isDone) {
      isDone = true;
      act();
    }
    return runHere(name, input, control);
  };
  const counts = await checkRepository({ repository: repository(), snapshots: snapshotNames(repository()), share: allData, lanes: 1 }, run, new CheckProgress(), (problem) => problems.push(problem));
  return { problems, counts };
}

const prune = (name: string): void => {
  unlistSnapshot(repository(), name);
  sweepRemoved(repository(), new TransferControl());
};

test.each(['planCheck', 'findExtra', 'checkSnapshotPart'])('a snapshot that is pruned before %s is no error, and the others are checked', async (step) => {
  const { problems, counts } = await checkWith(step, () => prune(names[0] ?? ''));
  expect(problems).toEqual([]);
  expect(counts).toMatchObject({ snapshots: 1, files: 5, problems: 0, gone: [names[0]] });
});

test('a snapshot of which files are gone is an error still', async () => {
  const { problems, counts } = await checkWith('checkSnapshotPart', () => fs.unlinkSync(join(repository(), names[0] ?? '', 'data', source('file1'))));
  expect(problems).toContainEqual(expect.objectContaining({ kind: 'missing', snapshot: names[0] }));
  expect(counts.gone).toEqual([]);
});

test('a repository that goes away as a whole has not been pruned', async () => {
  await expect(checkWith('checkSnapshotPart', () => fs.renameSync(repository(), join(folder(), 'away')))).rejects.toThrow('There is no repository');
});
