import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { startHarness, type Harness } from './helpers/backup-harness';

/** The five tests of the tutorial that the project grew out of, under their own names. */
let harness: Harness;
let source: string;

beforeAll(async () => {
  harness = await startHarness();
  source = harness.path('source.txt');
  writeFileSync(source, 'Test file content for backup\n'.repeat(100));
});

afterAll(() => harness?.remove());

test('test_successful_backup', async () => {
  const backupPath = harness.path('backup.txt');
  const result = await harness.client.backupFile({ sourcePath: source, backupPath, atomic: true, verifyBackup: true });
  expect(result).toMatchObject({ success: true, backupPath, verified: true, checksumMatch: true });
  expect(existsSync(backupPath)).toBe(true);
  expect(result.sourceSizeBytes).toBeGreaterThan(0);
  expect(result.backupSizeBytes).toBe(result.sourceSizeBytes);
});

test('test_backup_with_verification', async () => {
  const backupPath = harness.path('verified_backup.txt');
  const result = await harness.client.backupFile({ sourcePath: source, backupPath, verifyBackup: true });
  expect(result).toMatchObject({ verified: true, checksumMatch: true });
  expect(readFileSync(backupPath)).toEqual(readFileSync(source));
});

test('test_backup_nonexistent_source', async () => {
  const backupPath = harness.path('of-nothing.txt');
  const result = await harness.client.backupFile({ sourcePath: harness.path('nonexistent', 'file.txt'), backupPath });
  expect(result.success).toBe(false);
  expect(result.errorMessage).not.toBeNull();
  expect(existsSync(backupPath)).toBe(false);
});

test('test_backup_creates_directory', async () => {
  const backupPath = harness.path('nested', 'dir', 'backup.txt');
  const result = await harness.client.backupFile({ sourcePath: source, backupPath });
  expect(result.success).toBe(true);
  expect(existsSync(backupPath)).toBe(true);
  expect(result.createdDirectories).toEqual([harness.path('nested'), dirname(backupPath)]);
});

test('test_backup_statistics_tracking', async () => {
  const before = await harness.client.statistics();
  const { operationId } = await harness.client.backupFile({ sourcePath: source, backupPath: harness.path('counted.txt') });
  await visible(operationId);
  const after = await harness.client.statistics();
  // The server is shared with tests that run beside this one, so other backups may have been counted meanwhile.
  expect(after.totalBackups).toBeGreaterThanOrEqual(before.totalBackups + 1);
  expect(after.successfulBackups).toBeGreaterThanOrEqual(before.successfulBackups + 1);
  expect(after.totalBytesBackedUp).toBeGreaterThan(before.totalBytesBackedUp);
});

/** Visibility lags behind: waits until the finished run can be found. */
async function visible(operationId: string): Promise<void> {
  const query = `FileBackupOperationId = '${operationId}' AND ExecutionStatus = 'Completed'`;
  while ((await harness.temporal.workflow.count(query)).count === 0) await new Promise((resolve) => setTimeout(resolve, 20));
}
