import { summarize } from '../../src/core/statistics';

test('nothing finished yet is a rate of 0, not a division by zero', () => {
  expect(summarize({ successful: 0, failed: 0, running: 3, bytes: 0 })).toEqual({
    totalBackups: 0,
    successfulBackups: 0,
    failedBackups: 0,
    runningBackups: 3,
    totalBytesBackedUp: 0,
    successRatePercent: 0,
  });
});

test.each([
  [1, 0, 100],
  [0, 1, 0],
  [3, 1, 75],
])('%d good and %d failed backups are a rate of %d percent', (successful, failed, percent) => {
  expect(summarize({ successful, failed, running: 0, bytes: 1 }).successRatePercent).toBe(percent);
});

test('running backups count in no total', () => {
  expect(summarize({ successful: 2, failed: 1, running: 100, bytes: 77 })).toMatchObject({ totalBackups: 3, totalBytesBackedUp: 77 });
});
