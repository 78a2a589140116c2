import { summarize, type BatchCounts } from '../../src/core/statistics';

const nothing: BatchCounts = { successful: 0, failed: 0, running: 0, bytes: 0, partial: 0, filesBackedUp: 0, filesFailed: 0 };

test('nothing finished yet is a rate of 0, not a division by zero', () => {
  expect(summarize({ successful: 0, failed: 0, running: 3, bytes: 0 }, { ...nothing, running: 2 }, nothing)).toEqual({
    totalBackups: 0,
    successfulBackups: 0,
    failedBackups: 0,
    runningBackups: 3,
    totalBatches: 0,
    successfulBatches: 0,
    partialBatches: 0,
    failedBatches: 0,
    runningBatches: 2,
    batchFilesBackedUp: 0,
    batchFilesFailed: 0,
    totalSnapshots: 0,
    successfulSnapshots: 0,
    partialSnapshots: 0,
    failedSnapshots: 0,
    runningSnapshots: 0,
    totalBytesBackedUp: 0,
    successRatePercent: 0,
  });
});

test.each([
  [1, 0, 100],
  [0, 1, 0],
  [3, 1, 75],
])('%d good and %d failed backups are a rate of %d percent', (successful, failed, percent) => {
  expect(summarize({ successful, failed, running: 0, bytes: 1 }, nothing, nothing).successRatePercent).toBe(percent);
});

test('running backups count in no total', () => {
  expect(summarize({ successful: 2, failed: 1, running: 100, bytes: 77 }, nothing, nothing)).toMatchObject({ totalBackups: 3, totalBytesBackedUp: 77 });
});

test('a batch counts as one batch, and its files for bytes and rate; a partial one is not a successful one', () => {
  const batches: BatchCounts = { successful: 3, failed: 1, running: 0, bytes: 900, partial: 2, filesBackedUp: 97, filesFailed: 3 };
  expect(summarize({ successful: 0, failed: 0, running: 0, bytes: 100 }, batches, nothing)).toMatchObject({
    totalBatches: 4,
    successfulBatches: 1,
    partialBatches: 2,
    failedBatches: 1,
    totalBytesBackedUp: 1000,
    successRatePercent: 97,
  });
});

test('a partial snapshot is not a complete one, and its copied bytes count', () => {
  const snapshots: BatchCounts = { successful: 3, failed: 1, running: 1, bytes: 900, partial: 2, filesBackedUp: 97, filesFailed: 3 };
  expect(summarize({ successful: 1, failed: 0, running: 0, bytes: 100 }, nothing, snapshots)).toMatchObject({ totalSnapshots: 4, successfulSnapshots: 1, partialSnapshots: 2, failedSnapshots: 1, runningSnapshots: 1, totalBytesBackedUp: 1000, successRatePercent: 100 });
});
