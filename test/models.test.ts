import fc from 'fast-check';
import { posix } from 'node:path';
import { FileBackupInput, FileBackupOutput, InvalidInputError, parseModel, type FileBackupRequest } from '../src/models';

const least: FileBackupRequest = { sourcePath: '/data/file', backupPath: '/backups/file' };
const parse = (changes: Record<string, unknown> = {}): FileBackupInput => parseModel(FileBackupInput, { ...least, ...changes });

/** The lines of the refusal. */
function problems(value: unknown, schema: typeof FileBackupInput | typeof FileBackupOutput = FileBackupInput): string[] {
  try {
    parseModel(schema, value);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('input', () => {
  test('two paths are enough, and every default is filled in', () => {
    expect(parse()).toEqual({
      sourcePath: '/data/file',
      backupPath: '/backups/file',
      atomic: true,
      verifyBackup: true,
      maxRetries: 3,
      retryDelayMs: 1000,
      operationId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as string,
      metadata: {},
      verifyFrom: 'device',
      onCircuitOpen: 'wait',
      onSourceChanged: 'fail',
    });
  });

  test('each input without an operation id gets its own', () => {
    expect(parse().operationId).not.toBe(parse().operationId);
  });

  test('parsed once, parsed twice: nothing changes', () => {
    const input = parse({ metadata: { reason: 'test' } });
    expect(parseModel(FileBackupInput, JSON.parse(JSON.stringify(input)))).toEqual(input);
  });

  test('the result is frozen to its depth', () => {
    const input = parse({ metadata: { reason: 'test' } });
    expect(Object.isFrozen(input)).toBe(true);
    expect(Object.isFrozen(input.metadata)).toBe(true);
    expect(() => Object.assign(input, { atomic: false })).toThrow(TypeError);
    expect(() => Object.assign(input.metadata, { more: 'x' })).toThrow(TypeError);
  });

  test.each([
    ['maxRetries', 0, 10],
    ['retryDelayMs', 100, 30_000],
  ])('%s may be %d to %d, both included, and whole', (field, minimum, maximum) => {
    expect(parse({ [field]: minimum })).toMatchObject({ [field]: minimum });
    expect(parse({ [field]: maximum })).toMatchObject({ [field]: maximum });
    for (const value of [minimum - 1, maximum + 1, minimum + 0.5, NaN, Infinity, String(minimum), null]) {
      expect(problems({ ...least, [field]: value }).join('\n')).toContain(field);
    }
  });

  test.each([
    ['atomic', 'yes'],
    ['atomic', 1],
    ['verifyBackup', null],
    ['operationId', 'not a uuid'],
    ['operationId', ''],
    ['metadata', { count: 1 }],
    ['metadata', ['a']],
    ['verifyFrom', 'disk'],
    ['onCircuitOpen', ''],
    ['onSourceChanged', 'ignore'],
    ['sourcePath', 7],
    ['backupPath', undefined],
  ])('%s may not be %j, and the refusal names the field', (field, value) => {
    expect(problems({ ...least, [field]: value }).join('\n')).toContain(field);
  });

  test('unknown fields are refused by name: a misspelt option must not be ignored', () => {
    expect(problems({ ...least, max_retries: 5 }).join('\n')).toContain('max_retries');
  });

  test('every problem is told, each in readable words and without a stack', () => {
    const lines = problems({ sourcePath: 'relative', backupPath: '/a//b', maxRetries: 11 });
    expect(lines.join('\n')).toContain('must be an absolute path');
    expect(lines.join('\n')).toContain('must not contain "//"');
    expect(lines.join('\n')).toContain('maxRetries');
    expect(lines.filter((line) => line.startsWith('✖'))).toHaveLength(3);
  });

  test.each([[null], [undefined], ['text'], [7], [[]]])('%p is no input', (value) => {
    expect(problems(value)).not.toEqual([]);
  });

  test('metadata is bounded, since it travels with the run', () => {
    const fits = { note: 'x'.repeat(1500 - JSON.stringify({ note: '' }).length) };
    expect(parse({ metadata: fits }).metadata).toEqual(fits);
    expect(problems({ ...least, metadata: { note: `${fits.note}x` } }).join('\n')).toContain('1500 bytes');
  });
});

describe('paths', () => {
  test.each([
    ['relative', 'data/file'],
    ['empty', ''],
    ['the root', '/'],
    ['with a doubled slash', '/data//file'],
    ['with a trailing slash', '/data/'],
    ['with "."', '/data/./file'],
    ['with ".."', '/data/../file'],
    ['ending in ".."', '/data/..'],
    ['with a NUL character', '/data/fi\0le'],
    ['with half a surrogate pair', '/data/\ud800'],
    ['longer than the system takes', `/${'n'.repeat(4095)}`],
    ['longer than the system takes in bytes', `/${'ü'.repeat(2048)}`],
  ])('one that is %s is refused, as source and as target', (_title, path) => {
    expect(problems({ ...least, sourcePath: path })).not.toEqual([]);
    expect(problems({ ...least, backupPath: path })).not.toEqual([]);
  });

  test.each([
    ['as long as the system takes', `/${'n'.repeat(4094)}`],
    ['with a line break, quotes and a backslash', '/da\nta/"file\\'],
    ['with names that begin with dots', '/.hidden/..twice/...'],
    ['in any script', '/данные/文件/📁'],
  ])('one that is %s is taken as it is', (_title, path) => {
    expect(parse({ sourcePath: path }).sourcePath).toBe(path);
  });

  test('source and target must differ', () => {
    expect(problems({ sourcePath: '/data/file', backupPath: '/data/file' }).join('\n')).toContain('must differ from sourcePath');
  });

  test('any text at all either is an absolute, normal path, taken as it is, or is refused', () => {
    const name = fc.oneof(fc.constantFrom('', '.', '..', 'a', '\0', '\ud800', 'ü', '\n', ' '), fc.string({ unit: 'binary', maxLength: 5 }));
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.array(name, { maxLength: 6 }).map((names) => names.join('/')), fc.array(name, { maxLength: 6 }).map((names) => `/${names.join('/')}`));
    let taken = 0;
    fc.assert(
      fc.property(text, (path) => {
        const parsed = FileBackupInput.safeParse({ sourcePath: path, backupPath: '/somewhere else' });
        const normal = path.startsWith('/') && path !== '/' && posix.normalize(path) === path && !path.endsWith('/') && !path.includes('\0') && path.isWellFormed();
        expect(parsed.success).toBe(normal);
        if (parsed.success) {
          taken += 1;
          expect(parsed.data.sourcePath).toBe(path);
        }
      }),
      { seed: 20_261_124, numRuns: 2000 },
    );
    expect(taken).toBeGreaterThan(50);
  });
});

describe('output', () => {
  const operationId = '3f0c2a9e-1111-4222-8333-444455556666';
  const output: FileBackupOutput = {
    success: true,
    sourcePath: '/data/file',
    backupPath: '/backups/file',
    sourceSizeBytes: 7,
    backupSizeBytes: 7,
    verified: true,
    checksumMatch: true,
    transactionId: operationId,
    rollbackPerformed: false,
    processingTimeMs: 12.5,
    retryCount: 0,
    operationId,
    completedAt: '2026-11-24T05:07:02.314Z',
    errorMessage: null,
    errorCode: null,
    sha256: 'a'.repeat(64),
    verifiedFrom: 'device',
    publishedBy: 'link',
    sourceChanged: false,
    createdDirectories: [],
    warnings: [],
    rollback: { status: 'notNeeded', steps: [] },
  };

  test('a complete record is taken as it is, and frozen to its depth', () => {
    const parsed = parseModel(FileBackupOutput, output);
    expect(parsed).toEqual(output);
    expect(Object.isFrozen(parsed.rollback.steps)).toBe(true);
  });

  test('no field may be left out', () => {
    for (const field of Object.keys(output)) {
      const incomplete: Record<string, unknown> = { ...output };
      delete incomplete[field];
      expect([field, problems(incomplete, FileBackupOutput).join('\n')]).toEqual([field, expect.stringContaining(field)]);
    }
  });

  test('no field may be added', () => {
    expect(problems({ ...output, extra: 1 }, FileBackupOutput).join('\n')).toContain('extra');
    expect(problems({ ...output, rollback: { status: 'failed', steps: [{ step: 'x', status: 'failed', message: null, extra: 1 }] } }, FileBackupOutput).join('\n')).toContain('extra');
  });

  test.each([
    ['sourceSizeBytes', -1],
    ['retryCount', 1.5],
    ['completedAt', '24.11.2026'],
    ['completedAt', '2026-11-24T05:07:02+01:00'],
    ['sha256', 'A'.repeat(64)],
    ['sha256', 'a'.repeat(63)],
    ['verifiedFrom', 'disk'],
    ['publishedBy', 'copy'],
    ['transactionId', 'x'],
    ['rollback', { status: 'done', steps: [] }],
    ['rollback', { status: 'performed', steps: Array(11).fill({ step: 'x', status: 'performed', message: null }) }],
  ])('%s may not be %j', (field, value) => {
    expect(problems({ ...output, [field]: value }, FileBackupOutput).join('\n')).toContain(field);
  });
});
