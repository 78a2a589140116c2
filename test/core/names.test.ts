import { hostTaskQueue, operationTaskQueue, revokedName, SEARCH_ATTRIBUTES, stagingName } from '../../src/core/names';

const runId = '3f0c2a9e-1111-4222-8333-444455556666';

test('the staging directory is hidden, and named after its run alone', () => {
  expect(stagingName(runId)).toBe(`.file-backup-${runId}`);
  expect(revokedName(runId)).toBe(`.file-backup-${runId}.revoked`);
});

test('the names of two runs never meet, revoked or not', () => {
  const other = '3f0c2a9e-1111-4222-8333-444455556667';
  expect(new Set([stagingName(runId), revokedName(runId), stagingName(other), revokedName(other)]).size).toBe(4);
});

test('the names leave room in a file name of 255 bytes, and hold no path', () => {
  expect(Buffer.byteLength(revokedName(runId))).toBeLessThan(100);
  expect(revokedName(runId)).not.toContain('/');
});

test('queues are named after the host, and a command\'s own one after its operation', () => {
  expect(hostTaskQueue('nas')).toBe('file-backup-nas');
  expect(operationTaskQueue('file-backup-nas', runId)).toBe(`file-backup-nas-${runId}`);
});

test('of the three Int search attributes that an SQL store has, one is used', () => {
  expect(Object.values(SEARCH_ATTRIBUTES).filter((type) => type === 'Int')).toHaveLength(1);
});
