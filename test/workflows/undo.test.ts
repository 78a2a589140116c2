import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Context } from '@temporalio/activity';
import type { WorkflowFailedError } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { fileWorkflowId } from '../../src/workflow-ids';
import { failure } from '../../src/failures';
import type { FileBackupOutput, FileBackupRequest } from '../../src/models';
import { startHarness, type Around, type Harness } from '../helpers/backup-harness';
import { registered, sha256Of, stateOf, writePrevious } from '../helpers/target-state';

let harness: Harness;
let source: string;
let around: Around;
let folders = 0;

beforeAll(async () => {
  harness = await startHarness({ around: (step, attempt, run) => around(step, attempt, run), breaker: { failureThreshold: 1000 } });
  source = harness.path('source.bin');
  writeFileSync(source, Buffer.alloc(100_000, 'content'));
});

afterEach(() => {
  expect(harness.leftovers()).toEqual([]);
  expect(registered(harness)).toEqual([]);
});

afterAll(async () => {
  await harness?.remove();
  rmSync(awayPath(), { recursive: true, force: true });
});

describe('after a publication that failed', () => {
  const failing: Around = async (step, _attempt, run) => {
    const result = await run();
    if (step === 'publishFile') throw failure('DestinationConflict', 'Refused after all');
    return result;
  };

  test('the previous target is put back, the very same file', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const output = await backUp(failing, target);
    expect(output).toMatchObject({ success: false, errorCode: 'DestinationConflict', transactionId: null, rollbackPerformed: true, rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('a new target goes again, with the parents made for it', async () => {
    const target = newTarget('made', 'for', 'it');
    await expect(backUp(failing, target)).resolves.toMatchObject({ errorCode: 'DestinationConflict', createdDirectories: [], rollback: { status: 'performed' } });
    expect(existsSync(join(target, '..', '..', '..'))).toBe(false);
  });

  test('a parent that somebody else uses by now stays', async () => {
    const target = newTarget('made');
    const other = join(dirname(target), 'other');
    await backUp(async (step, attempt, run) => {
      if (step === 'publishFile') writeFileSync(other, 'not ours');
      return failing(step, attempt, run);
    }, target);
    expect(readdirSync(dirname(target))).toEqual(['other']);
  });
});

describe('a target that somebody else wrote', () => {
  const replace = (target: string): void => {
    writeFileSync(`${target}.new`, 'somebody else\'s');
    renameSync(`${target}.new`, target);
  };

  test.each([true, false])('before the publication stays as it is, with a previous target: %s', async (hasPrevious) => {
    const target = newTarget();
    if (hasPrevious) writePrevious(target);
    let foreign: ReturnType<typeof stateOf> = null;
    const output = await backUp((step, _attempt, run) => {
      if (step === 'publishFile') {
        replace(target);
        foreign = stateOf(target);
      }
      return run();
    }, target);
    expect(output).toMatchObject({ success: false, errorCode: 'DestinationConflict', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(foreign);
  });

  test.each([true, false])('after the publication stays as it is and is reported, with a previous target: %s', async (hasPrevious) => {
    const target = newTarget();
    if (hasPrevious) writePrevious(target);
    let foreign: ReturnType<typeof stateOf> = null;
    const output = await backUp(async (step, _attempt, run) => {
      const result = await run();
      if (step !== 'publishFile') return result;
      replace(target);
      foreign = stateOf(target);
      throw failure('DestinationConflict', 'Refused after all');
    }, target);
    expect(stateOf(target)).toEqual(foreign);
    expect(output).toMatchObject({ success: false, warnings: [expect.stringContaining('somebody else')] });
  });
});

describe('when undo fails', () => {
  /** Publishes, fails, and lets the named undo steps fail for good. */
  const breaking = (...broken: string[]): Around => async (step, _attempt, run) => {
    if (broken.includes(step)) throw failure('PermissionDenied', `No ${step} today`);
    const result = await run();
    if (step === 'publishFile') throw failure('DestinationConflict', 'Refused after all');
    return result;
  };

  test('every other undo runs all the same, in reverse', async () => {
    const calls: string[] = [];
    const target = newTarget();
    const output = await backUp((step, attempt, run) => {
      if (/^(un|dis)/.test(step)) calls.push(step);
      return breaking('unpublishFile')(step, attempt, run);
    }, target);
    expect(calls).toEqual(['unpublishFile', 'discardStaging']);
    expect(output.rollback).toEqual({
      status: 'failed',
      steps: [
        { step: 'unpublishFile', status: 'failed', message: expect.stringContaining('No unpublishFile today') as string },
        { step: 'discardStaging', status: 'performed', message: null },
      ],
    });
  });

  test('the caller gets both errors, and the state says inconsistent', async () => {
    const target = newTarget();
    const output = await backUp(breaking('unpublishFile'), target);
    expect(output).toMatchObject({ success: false, errorCode: 'RollbackFailed', rollbackPerformed: false });
    expect(output.errorMessage).toMatch(/Refused after all.*Undo failed too: unpublishFile: No unpublishFile today/s);
    const handle = harness.temporal.workflow.getHandle(fileWorkflowId(harness.taskQueue, target));
    const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
    const cause = (error as WorkflowFailedError).cause as ApplicationFailure;
    expect(cause.type).toBe('RollbackFailed');
    expect(cause.details?.[0]).toEqual(output);
    expect(cause.details?.[1]).toEqual({
      originalError: { type: 'DestinationConflict', message: expect.stringContaining('Refused after all') as string },
      rollbackErrors: [expect.stringMatching(/^unpublishFile: No unpublishFile today/) as string],
    });
    expect((await handle.describe()).searchAttributes.FileBackupState).toEqual(['inconsistent']);
  });

  test('a previous target that could not be put back is kept, and the message says where', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const output = await backUp(breaking('unpublishFile'), target);
    expect(output.rollback.steps.map(({ status }) => status)).toEqual(['failed', 'failed']);
    const kept = join(dirname(target), harness.leftovers().find((name) => name.endsWith('/previous'))?.split('/').slice(-2).join('/') ?? '');
    expect(output.errorMessage).toContain(kept);
    expect(stateOf(kept)).toEqual(before);
    expect(sha256Of(target)).toBe(sha256Of(source));
    rmSync(dirname(kept), { recursive: true });
    expect(registered(harness)).toHaveLength(1);
    rmSync(join(harness.stateDirectory, 'staging'), { recursive: true });
  });

  test('a staging directory that could not be removed is a failed undo too, although the target is as it was', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const output = await backUp(breaking('discardStaging'), target);
    expect(output).toMatchObject({ errorCode: 'RollbackFailed', rollback: { steps: [{ status: 'performed' }, { step: 'discardStaging', status: 'failed' }] } });
    expect(stateOf(target)).toEqual(before);
    expect(harness.leftovers()).not.toEqual([]);
    for (const name of readdirSync(dirname(target)).filter((entry) => entry.startsWith('.file-backup-'))) rmSync(join(dirname(target), name), { recursive: true });
    rmSync(join(harness.stateDirectory, 'staging'), { recursive: true });
  });

  test('a failure that passes is repeated until undo is done', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const output = await backUp(async (step, attempt, run) => {
      if (/^(un|dis)/.test(step) && attempt === 1) throw failure('DestinationError', 'The disk hiccups');
      return breaking()(step, attempt, run);
    }, target);
    expect(output).toMatchObject({ errorCode: 'DestinationConflict', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });
});

describe('a staged file that is damaged', () => {
  /** Flips one byte of what stageFile wrote, and notes the names. */
  const damaging = (staged: string[], shouldDamage: (copy: number) => boolean): Around => async (step, _attempt, run) => {
    const result = await run();
    if (step !== 'stageFile') return result;
    const { name } = result as { name: string };
    staged.push(name);
    if (shouldDamage(staged.length)) flipByte(stagedPath(name));
    return result;
  };

  test('is never published: a fresh copy each time, then a mismatch and the target as it was', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const staged: string[] = [];
    const output = await backUp(damaging(staged, () => true), target, { maxRetries: 2 });
    expect(output).toMatchObject({ success: false, errorCode: 'ChecksumMismatch', verified: true, checksumMatch: false, retryCount: 2, publishedBy: null, rollback: { status: 'performed' } });
    expect(new Set(staged).size).toBe(3);
    expect(staged).toHaveLength(3);
    expect(stateOf(target)).toEqual(before);
  });

  test('once is replaced by a fresh copy, which is published', async () => {
    const target = newTarget();
    const staged: string[] = [];
    const output = await backUp(damaging(staged, (copy) => copy === 1), target);
    expect(output).toMatchObject({ success: true, checksumMatch: true, retryCount: 1, publishedBy: 'link' });
    expect(new Set(staged).size).toBe(2);
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('between the comparison and a repeated publication is found and taken back', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const output = await backUp(async (step, attempt, run) => {
      const result = await run();
      if (step === 'publishFile' && attempt === 1) {
        flipByte(target);
        throw failure('DestinationError', 'The answer got lost');
      }
      return result;
    }, target);
    expect(output).toMatchObject({ success: false, errorCode: 'DestinationConflict', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });
});

describe('a destination that goes away', () => {
  const steps = ['prepareStaging', 'stageFile', 'verifyFile', 'publishFile', 'finalizeFile'];

  test.each(steps)('at %s and comes back is waited for', async (gone) => {
    const target = newTarget();
    writePrevious(target);
    const before = sha256Of(source);
    const failures: unknown[] = [];
    const output = await backUp(awayDuring(gone, 2, failures), target);
    expect(output).toMatchObject({ success: true, sha256: before });
    expect(failures).toEqual(['DestinationGone', 'DestinationGone']);
    expect(sha256Of(target)).toBe(before);
  });

  test.each(['unpublishFile', 'discardStaging'])('at %s and comes back is waited for, and everything is as it was', async (gone) => {
    const target = newTarget();
    const before = writePrevious(target);
    const failures: unknown[] = [];
    const away = awayDuring(gone, 1, failures);
    const output = await backUp(async (step, attempt, run) => {
      const result = await away(step, attempt, run);
      if (step === 'publishFile') throw failure('DestinationConflict', 'Refused after all');
      return result;
    }, target);
    expect(output).toMatchObject({ errorCode: 'DestinationConflict', rollback: { status: 'performed' } });
    expect(failures).toEqual(['DestinationGone']);
    expect(stateOf(target)).toEqual(before);
  });

  test('for longer than the retries ends the run, and undo waits for it', async () => {
    const target = newTarget();
    const before = writePrevious(target);
    const output = await backUp(async (step, attempt, run) => {
      if (step === 'publishFile' && attempt === 1) renameSync(harness.directory, awayPath());
      if (step === 'unpublishFile' && attempt === 2) renameSync(awayPath(), harness.directory);
      return run();
    }, target, { maxRetries: 1 });
    expect(output).toMatchObject({ errorCode: 'DestinationGone', rollback: { status: 'performed' } });
    expect(stateOf(target)).toEqual(before);
  });

  test('is not mistaken for another directory of its name, where nothing is created', async () => {
    const target = newTarget();
    const seen: unknown[] = [];
    const output = await backUp(async (step, attempt, run) => {
      if (step !== 'prepareStaging') return run();
      if (attempt === 1) {
        renameSync(harness.directory, awayPath());
        mkdirSync(dirname(target), { recursive: true });
      }
      if (attempt === 2) {
        seen.push(readdirSync(harness.directory, { recursive: true }));
        rmdirSync(dirname(target));
        rmdirSync(harness.directory);
        renameSync(awayPath(), harness.directory);
      }
      return run();
    }, target);
    expect(output.success).toBe(true);
    expect(seen).toEqual([[dirname(target).split('/').at(-1)]]);
  });
});

describe('a staging directory that is gone behind its run\'s back', () => {
  const finishing = (target: string, before: string, content: Buffer | string): Around => (step, attempt, run) => {
    if (step === before && attempt === 1) {
      rmSync(stagedPath(), { recursive: true });
      writeFileSync(target, content);
    }
    return run();
  };

  test.each(['stageFile', 'verifyFile', 'publishFile'])('before %s: a target that holds what the source holds is adopted', async (step) => {
    const target = newTarget();
    const output = await backUp(finishing(target, step, readFileSync(source)), target);
    expect(output).toMatchObject({ success: true, publishedBy: 'adopted', sha256: sha256Of(source), verified: true, checksumMatch: true, rollback: { status: 'unsupported', steps: [] } });
    expect(sha256Of(target)).toBe(sha256Of(source));
  });

  test('any other target stays as it is, and the run fails', async () => {
    const target = newTarget();
    const output = await backUp(finishing(target, 'publishFile', 'something else'), target);
    expect(output).toMatchObject({ success: false, errorCode: 'StagingRevoked', publishedBy: null });
    expect(readFileSync(target, 'utf8')).toBe('something else');
  });

  test('looking at the target is repeated as often as any step, and no oftener', async () => {
    const target = newTarget();
    let looks = 0;
    const output = await backUp((step, attempt, run) => {
      if (step !== 'adoptTarget') return finishing(target, 'publishFile', readFileSync(source))(step, attempt, run);
      looks += 1;
      throw failure('DestinationError', 'The disk hiccups');
    }, target, { maxRetries: 1 });
    expect(output).toMatchObject({ success: false, errorCode: 'DestinationError' });
    expect(looks).toBe(2);
  });
});

function newTarget(...parents: string[]): string {
  folders += 1;
  mkdirSync(harness.path(`case-${folders}`));
  return harness.path(`case-${folders}`, ...parents, 'target');
}

async function backUp(hook: Around, backupPath: string, request: Partial<FileBackupRequest> = {}): Promise<FileBackupOutput> {
  around = hook;
  return harness.client.backupFile({ sourcePath: source, backupPath, retryDelayMs: 100, ...request });
}

/** Where the current activity's run keeps its staged files. */
function stagedPath(name = ''): string {
  const { runId } = Context.current().info.workflowExecution ?? { runId: '' };
  return harness.path(`case-${folders}`, `.file-backup-${runId}`, name);
}

function flipByte(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

function awayPath(): string {
  return `${harness.directory}-away`;
}

/** Takes the destination away before a step's first attempt, and puts it back after so many failures. */
function awayDuring(gone: string, attempts: number, failures: unknown[]): Around {
  return async (step, attempt, run) => {
    if (step !== gone) return run();
    if (attempt === 1) renameSync(harness.directory, awayPath());
    if (attempt === attempts + 1) renameSync(awayPath(), harness.directory);
    try {
      return await run();
    } catch (error) {
      failures.push((error as ApplicationFailure).type);
      throw error;
    }
  };
}

