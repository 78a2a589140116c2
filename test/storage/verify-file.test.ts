import * as fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { verifyStagedFile } from '../../src/storage/verify-file';
import { contentOf, damage, openDescriptors, sha256, useFolder } from '../helpers/files';
import { codeOf, Operation, thrownBy } from './operation';

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);

function staged(content: Buffer | string = 'content of the source'): Operation {
  fs.writeFileSync(path('source'), content);
  return new Operation(folder()).readyToPublish();
}

test('a good copy is found good', () => {
  expect(staged(contentOf(1, 1024 * 1024 + 1)).verify().from).toMatch(/^(device|cache)$/);
});

test('an empty copy is found good', () => {
  expect(staged('').verify().from).toMatch(/^(device|cache)$/);
});

test('a single flipped bit anywhere is found, and both digests are named', () => {
  const content = contentOf(2, 1024 * 1024 + 4097);
  const operation = staged(content);
  fc.assert(
    fc.property(fc.nat(content.length - 1), (offset) => {
      damage(operation.stagedPath, offset);
      const found = sha256(fs.readFileSync(operation.stagedPath));
      expect(thrownBy(() => operation.verify())).toMatchObject({
        code: 'ChecksumMismatch',
        side: 'destination',
        path: path('target'),
        found: { expected: sha256(content), found },
      });
      damage(operation.stagedPath, offset);
      operation.verify();
    }),
    { seed: 20_261_124, numRuns: 10 },
  );
});

test.each([
  ['shorter', (content: Buffer) => content.subarray(0, -1)],
  ['longer', (content: Buffer) => Buffer.concat([content, Buffer.from('x')])],
  ['empty', () => Buffer.alloc(0)],
])('a copy that is %s is found, and both lengths are named', (_title, change) => {
  const content = contentOf(3, 5000);
  const operation = staged(content);
  fs.writeFileSync(operation.stagedPath, change(content));
  const error = thrownBy(() => operation.verify());
  expect(error.code).toBe('ChecksumMismatch');
  expect(error.message).toContain('(5000 bytes)');
  expect(error.message).toContain(`(${change(content).length} bytes)`);
});

test('a length that was recorded wrongly is found although the digest fits', () => {
  const operation = staged();
  const { location, control } = operation;
  const { name, sha256: digest } = operation.staged!;
  expect(codeOf(() => verifyStagedFile(location, name, { sha256: digest, sizeBytes: 1 }, 'cache', control))).toBe('ChecksumMismatch');
});

test('a staged file that became a symbolic link is not followed', () => {
  const operation = staged();
  fs.unlinkSync(operation.stagedPath);
  fs.symlinkSync(path('source'), operation.stagedPath);
  expect(codeOf(() => operation.verify())).toBe('ELOOP');
});

test('a staging directory that was revoked is said to be so', () => {
  const operation = staged();
  operation.discard();
  expect(codeOf(() => operation.verify())).toBe('StagingRevoked');
});

test('a name that leads out of the staging directory is refused: nothing else is read', () => {
  const operation = staged();
  const { location, control } = operation;
  expect(codeOf(() => verifyStagedFile(location, '../source', operation.staged!, 'cache', control))).toBe('InvalidInput');
});

test('a cancelled attempt stops, and no descriptor stays open', () => {
  const operation = staged();
  const before = openDescriptors();
  operation.control.cancel();
  expect(codeOf(() => operation.verify())).toBe('Cancelled');
  expect(openDescriptors()).toBe(before);
});
