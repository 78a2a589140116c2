import { onlyRequest } from '../../src/worker/served-request';
import { batchRequest, fileRequest } from '../../src/client/run-requests';
import { BatchBackupInput } from '../../src/batch-models';
import { FileBackupInput } from '../../src/models';
import type { Purpose } from '../../src/proof/bound';
import { payloadConverter } from '../../src/proof/payload-converter';

const context = { storage: 'host', mayBeRepeated: false };
const file = FileBackupInput.parse({ sourcePath: '/a', backupPath: '/b' });
const request = fileRequest(file, context);
const served = { workflowType: 'backupFile', workflowId: request.workflowId, input: file };
const admit = onlyRequest(served);

function objection(purpose: Purpose, input: unknown = file, workflowId = served.workflowId, by = admit): boolean {
  return by(purpose, payloadConverter.toPayload(input), { type: 'workflow', namespace: 'default', workflowId }) !== undefined;
}

const start: Purpose = { kind: 'start', workflowType: 'backupFile', index: 0, count: 1 };

test('a worker of one command admits its request, also when an earlier command has sent it under another operation', () => {
  expect(objection(start)).toBe(false);
  expect(objection(start, FileBackupInput.parse({ ...file, operationId: undefined }))).toBe(false);
});

test('it admits no other request, though the key has signed it', () => {
  expect(objection(start, { ...file, sourcePath: '/etc/shadow' })).toBe(true);
  expect(objection(start, { ...file, metadata: { a: 'b' } })).toBe(true);
  expect(objection(start, { ...file, more: 1 })).toBe(true);
  for (const input of [null, 'text', 7, []]) expect(objection(start, input)).toBe(true);
  expect(objection(start, file, 'another')).toBe(true);
  for (const workflowType of ['backupBatch', 'restoreSnapshot']) expect(objection({ ...start, workflowType })).toBe(true);
  expect(objection({ ...start, kind: 'scheduled' })).toBe(true);
});

test('it admits what its own run starts and asks for, and nothing of other runs', () => {
  const own = served.workflowId;
  const of = (kind: Purpose['kind'], parentWorkflowId?: string): Purpose => ({ kind, workflowType: 'backupFile', ...(parentWorkflowId === undefined ? {} : { parentWorkflowId }) });
  expect([objection(of('step')), objection(of('step'), file, 'child'), objection(of('step', own), file, 'child'), objection(of('step', 'other'), file, 'child')]).toEqual([false, true, false, true]);
  expect([objection(of('child', own), file, 'child'), objection(of('child', 'other'), file, own)]).toEqual([false, true]);
  expect([objection(of('continued')), objection(of('continued'), file, 'another')]).toEqual([false, true]);
});

test('a batch is known by its list, however it travels', () => {
  const input = BatchBackupInput.parse({ sources: ['/a', '/b'], backupDir: '/to' });
  const { workflowId } = batchRequest(input, context);
  const by = onlyRequest({ workflowType: 'backupBatch', workflowId, input });
  const batch: Purpose = { ...start, workflowType: 'backupBatch', count: 2 };
  expect(objection(batch, input, workflowId, by)).toBe(false);
  expect(objection(batch, { ...input, sources: ['/a', '/c'] }, workflowId, by)).toBe(true);
  expect(objection({ ...batch, index: 1 }, { storage: 'host' }, workflowId, by)).toBe(false);
});
