import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import type { BatchBackupOutput, BatchBackupRequest } from '../../src/batch-models';
import type { BatchProgress } from '../../src/core/batch-progress';
import { PROGRESS_QUERY } from '../../src/core/names';
import type { Harness } from './backup-harness';

/** What a batch leaves of itself when it has ended. */
export const recordFiles = ['failures.ndjson', 'manifest.ndjson', 'owner.json', 'summary.json'];

/** So many source files of different content and size, and their paths. */
export function makeSources(place: Harness, count: number, folder = 'sources'): string[] {
  const directory = place.path(folder);
  mkdirSync(directory, { recursive: true });
  return Array.from({ length: count }, (_, index) => {
    const path = join(directory, `${folder === 'sources' ? 'file' : folder}-${String(index).padStart(5, '0')}`);
    writeFileSync(path, `${folder} ${index} `.repeat(1 + (index % 50)), { mode: index % 2 === 0 ? 0o640 : 0o600 });
    return path;
  });
}

export function targetOf(place: Harness, source: string): string {
  return place.path('backups', `${source.split('/').at(-1)}.backup`);
}

/** A list of sources in a file, as requests name it. */
export function writeList(place: Harness, paths: readonly (string | Buffer)[]): BatchBackupRequest['sourceList'] {
  const data = Buffer.concat(paths.flatMap((path) => [Buffer.from(path), Buffer.from('\0')]));
  const path = place.path(`list-${randomUUID()}`);
  writeFileSync(path, data);
  return { path, separator: 'nul', sha256: createHash('sha256').update(data).digest('hex') };
}

export async function startBatch(place: Harness, request: Partial<BatchBackupRequest>, workflowId = `batch-${randomUUID()}`): Promise<WorkflowHandle> {
  const input = { backupDir: place.path('backups'), retryDelayMs: 100, operationId: randomUUID(), ...request };
  return place.temporal.workflow.start('backupBatch', { taskQueue: place.taskQueue, workflowId, args: [input, { storage: place.taskQueue }] });
}

export async function runBatch(place: Harness, request: Partial<BatchBackupRequest>): Promise<BatchBackupOutput> {
  return outputOf(await startBatch(place, request));
}

/** The record of a batch, however it ended. */
export async function outputOf(handle: WorkflowHandle): Promise<BatchBackupOutput> {
  try {
    return (await handle.result()) as BatchBackupOutput;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const failed = (error.cause as ApplicationFailure | undefined)?.details?.[0] as BatchBackupOutput | undefined;
    return failed ?? ((await handle.describe()).memo?.output as BatchBackupOutput);
  }
}

export function progressOf(handle: WorkflowHandle): Promise<BatchProgress> {
  return handle.query<BatchProgress>(PROGRESS_QUERY);
}

/** Everything in the backup directory that is not a run's record. */
export function backups(place: Harness): string[] {
  return existsSync(place.path('backups')) ? readdirSync(place.path('backups')).filter((name) => name !== '.file-backup').sort() : [];
}

/** Lines of a record of a run. */
export function recordOf<Line>({ runDirectory }: BatchBackupOutput, name: string): Line[] {
  return readFileSync(join(runDirectory, name), 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
}

/** Every file is accounted for once: in numbers, in the record, and by name; and nothing but the record stays. */
export function expectAddsUp(output: BatchBackupOutput): void {
  const { totalFiles, successfulFiles, failedFiles, skippedFiles } = output;
  const [good, bad] = [recordOf<{ target: unknown }>(output, 'manifest.ndjson'), recordOf<{ target: unknown; state: string }>(output, 'failures.ndjson')];
  const names = new Set([...good, ...bad].map(({ target }) => JSON.stringify(target)));
  expect({ sum: successfulFiles + failedFiles + skippedFiles, names: names.size, left: readdirSync(output.runDirectory).sort() }).toEqual({ sum: totalFiles, names: totalFiles, left: recordFiles });
  if (output.rollback === 'notNeeded') {
    expect([good.length, bad.filter(({ state }) => state === 'failed').length, bad.filter(({ state }) => state === 'skipped').length]).toEqual([successfulFiles, failedFiles, skippedFiles]);
  }
}
