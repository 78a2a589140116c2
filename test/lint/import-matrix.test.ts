import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * The layers are kept by lint, so lint is tried on code that breaks them. Each sample takes the place of a file that is
 * part of the project, since rules that know types look at nothing else.
 */
type Sample = [title: string, file: string, sample: string];
type WrongSample = [...Sample, rule: string];

const root = resolve(__dirname, '../..');
const paths = 'import-x/no-restricted-paths';
const imports = '@typescript-eslint/no-restricted-imports';

const wrong: WrongSample[] = [
  ['storage imports Temporal', 'src/storage/errors.ts', 'import { ApplicationFailure } from \'@temporalio/common\';\nexport const a = ApplicationFailure;', imports],
  ['storage imports a type of Temporal', 'src/storage/errors.ts', 'import type { Context } from \'@temporalio/activity\';\nexport type A = Context;', imports],
  ['storage imports an activity', 'src/storage/errors.ts', 'import { ThreadPool } from \'../activities/thread-pool\';\nexport const a = ThreadPool;', paths],
  ['storage imports the models', 'src/storage/errors.ts', 'import { parseModel } from \'../models\';\nexport const a = parseModel;', paths],
  ['the repository layer imports Temporal', 'src/repository/lanes.ts', 'import { ApplicationFailure } from \'@temporalio/common\';\nexport const a = ApplicationFailure;', imports],
  ['the repository layer imports an activity', 'src/repository/lanes.ts', 'import { ThreadPool } from \'../activities/thread-pool\';\nexport const a = ThreadPool;', paths],
  ['storage imports the repository layer', 'src/storage/errors.ts', 'import { inLanes } from \'../repository/lanes\';\nexport const a = inLanes;', paths],
  ['core imports storage', 'src/core/roots.ts', 'import { StorageError } from \'../storage/errors\';\nexport const a = StorageError;', paths],
  ['core imports Temporal', 'src/core/roots.ts', 'import { ApplicationFailure } from \'@temporalio/common\';\nexport const a = ApplicationFailure;', imports],
  ['a workflow imports zod', 'src/workflows/saga.ts', 'import { z } from \'zod\';\nexport const a = z;', imports],
  ['a workflow imports a Node built-in', 'src/workflows/saga.ts', 'import { readFileSync } from \'node:fs\';\nexport const a = readFileSync;', imports],
  ['a workflow imports a Node built-in by its short name', 'src/workflows/saga.ts', 'import { readFileSync } from \'fs\';\nexport const a = readFileSync;', imports],
  ['a workflow imports the client', 'src/workflows/saga.ts', 'import { Client } from \'@temporalio/client\';\nexport const a = Client;', imports],
  ['a workflow imports a value of the activities', 'src/workflows/saga.ts', 'import { createActivities } from \'../activities\';\nexport const a = createActivities;', imports],
  ['a workflow imports a value of one file of the activities', 'src/workflows/saga.ts', 'import { ThreadPool } from \'../activities/thread-pool\';\nexport const a = ThreadPool;', imports],
  ['a workflow imports a value of the models', 'src/workflows/saga.ts', 'import { parseModel } from \'../models\';\nexport const a = parseModel;', imports],
  ['a workflow imports storage', 'src/workflows/saga.ts', 'import { StorageError } from \'../storage/errors\';\nexport const a = StorageError;', paths],
  ['an activity imports a workflow', 'src/activities/index.ts', 'import { backupFile } from \'../workflows\';\nexport const a = backupFile;', paths],
  ['the client imports an activity', 'src/client/runs.ts', 'import { createActivities } from \'../activities\';\nexport const a = createActivities;', paths],
  ['the client imports a value of a workflow', 'src/client/runs.ts', 'import { backupFile } from \'../workflows/backup-file\';\nexport const a = backupFile;', imports],
  ['the failures import storage', 'src/failures.ts', 'import { errnoName } from \'./storage/errors\';\nexport const a = errnoName;', paths],
  ['two files import each other', 'src/core/bounded-text.ts', 'import * as markdown from \'./markdown\';\nexport const boundedText = markdown;', 'import-x/no-cycle'],
  ['a promise is left alone', 'src/activities/index.ts', 'async function work(): Promise<void> {\n  await Promise.resolve();\n}\nexport function start(): void {\n  work();\n}', '@typescript-eslint/no-floating-promises'],
  ['a union is not exhausted', 'src/core/roots.ts', 'export function f(x: \'a\' | \'b\'): number {\n  switch (x) {\n    case \'a\':\n      return 1;\n  }\n  return 0;\n}', '@typescript-eslint/switch-exhaustiveness-check'],
  ['a type is imported as a value', 'src/storage/source.ts', 'import { StorageError } from \'./errors\';\nexport type A = StorageError;', '@typescript-eslint/consistent-type-imports'],
  ['something is printed past the terminal', 'src/cli/report.ts', 'export const a = (): boolean => process.stdout.write(\'raw\');', 'no-restricted-syntax'],
  ['JSON is parsed by what quotes it', 'src/storage/errors.ts', 'export const a = (text: string): unknown => JSON.parse(text);', 'no-restricted-syntax'],
  ['storage removes a directory by its path', 'src/storage/source.ts', 'import * as fs from \'node:fs\';\nexport const a = (): void => fs.rmSync(\'/x\', { recursive: true, force: true });', 'no-restricted-syntax'],
  ['a command removes a directory by its path', 'src/cli/source-list.ts', 'import { rm } from \'node:fs/promises\';\nexport const a = (): Promise<void> => rm(\'/x\', { recursive: true });', 'no-restricted-syntax'],
  ['something is printed past the log', 'src/activities/index.ts', 'export const a = (): void => console.log(1);', 'no-console'],
];

const right: Sample[] = [
  ['storage imports core and Node', 'src/storage/source.ts', 'import * as fs from \'node:fs\';\nimport { isBelow } from \'../core/roots\';\nimport { StorageError } from \'./errors\';\nexport const a = [fs.openSync, isBelow, StorageError];'],
  ['a workflow imports types of the activities and models', 'src/workflows/proxies.ts', 'import { sleep } from \'@temporalio/workflow\';\nimport type { Activities } from \'../activities\';\nimport type { FileBackupInput } from \'../models\';\nimport { failureKinds } from \'../failures\';\nexport type A = [Activities, FileBackupInput];\nexport const a = [sleep, failureKinds];'],
  ['an activity imports storage, models and Temporal', 'src/activities/index.ts', 'import { Context } from \'@temporalio/activity\';\nimport { parseModel } from \'../models\';\nimport { StorageError } from \'../storage/errors\';\nexport const a = [Context, parseModel, StorageError];'],
  ['a promise is waited for', 'src/activities/index.ts', 'async function work(): Promise<void> {\n  await Promise.resolve();\n}\nexport async function start(): Promise<void> {\n  await work();\n}'],
];

/** Rules that each sample breaks, by its title. */
const broken = new Map<string, string[]>();

beforeAll(() => {
  const samples = [...wrong, ...right];
  const input = JSON.stringify(samples.map(([, file, sample]) => ({ file, sample })));
  const { stdout, stderr } = spawnSync(process.execPath, [join(__dirname, 'lint-samples.mjs')], { input, encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  const answers = JSON.parse(stdout) as string[][];
  samples.forEach(([title], index) => broken.set(title, answers[index] ?? []));
}, 120_000);

test('every sample stands for a file that exists', () => {
  for (const [, file] of [...wrong, ...right]) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
});

test.each(wrong)('is refused: %s', (title, _file, _sample, rule) => {
  expect(broken.get(title)).toContain(rule);
});

test.each(right)('is accepted: %s', (title) => {
  expect(broken.get(title)).toEqual([]);
});
