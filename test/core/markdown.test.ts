import fc from 'fast-check';
import { codeSpan, pathSpan } from '../../src/core/markdown';
import type { BatchProgress } from '../../src/core/batch-progress';
import { renderBatch } from '../../src/workflows/batch-details';
import { renderDetails } from '../../src/workflows/details';
import type { FileBackupOutput } from '../../src/models';
import { withoutSpans } from '../helpers/markdown';

const hostile = [
  '`',
  '``` `` `',
  '`[click](javascript:alert(1))`',
  '![pixel](http://example.org/pixel.png)',
  '<img src=x onerror=alert(1)>',
  'http://example.org www.example.org <mailto:a@example.org>',
  '**bold** _it_ ~~gone~~ | cell | &amp; \\`',
  'line\n\n# heading\n- item\n\n```\nfence',
  '\u202egnp.exe\u001b[2J',
  ' padded ',
  '',
];

test.each([
  ['/plain/path', '`/plain/path`'],
  ['/with `one`', '`` /with `one` ``'],
  ['/with ``two``', '``` /with ``two`` ```'],
  ['````', '`\\u0060\\u0060\\u0060\\u0060`'],
  [' spaces ', '`  spaces  `'],
  ['', '`  `'],
  ['/two\nlines', '`/two\\nlines`'],
])('%j as a code span', (value, span) => {
  expect(codeSpan(value)).toBe(span);
});

test.each(hostile)('nothing is left of %j but its span', (value) => {
  expect(withoutSpans(`before ${codeSpan(value)} between ${pathSpan(value)} after`)).toBe('before  between  after');
});

test('no text at all leaves its span', () => {
  const text = fc.string({ unit: fc.constantFrom('`', ' ', '\n', '[', ']', '(', ')', '<', 'a', '\\', '\ud800', '\u202e') });
  fc.assert(fc.property(text, text, (one, two) => withoutSpans(`- ${codeSpan(one)} → ${pathSpan(two)}.`) === '-  → .'), { seed: 20_261_126, numRuns: 5000 });
});

test('two paths of any length, and the name of a schedule before them, fit into a summary of 400 bytes', () => {
  const text = fc.oneof(fc.string({ minLength: 1000 }), fc.constantFrom('`'.repeat(4000), '\u0007'.repeat(4000), '文'.repeat(4000), '\u{1f600}`'.repeat(2000), '``` '.repeat(1000)));
  fc.assert(
    fc.property(text, text, (one, two) => Buffer.byteLength(JSON.stringify(`${codeSpan('n'.repeat(100))}: ${pathSpan(one)} → ${pathSpan(two)}`)) <= 400),
    { seed: 20_261_126, numRuns: 500 },
  );
});

/** What the program says by itself. */
const OWN_WORDS = /^[\w *:;(),.%/→-]*$/;

test.each(hostile)('a page of the Web UI holds nothing of %j outside of a span', (value) => {
  const status = { state: 'failed', step: 'done', sourcePath: value, backupPath: value, sizeBytes: 1, retryCount: 1, waitingFor: value } as const;
  const output = { sha256: value, verifiedFrom: 'device', errorCode: 'NoSpace', errorMessage: value, processingTimeMs: 1, warnings: [value], rollback: { status: 'performed', steps: [{ step: 'unpublishFile', status: 'failed', message: value }] } } as unknown as FileBackupOutput;
  const progress = { state: 'running', files: 1, sizeBytes: 1, chunks: 1, finishedChunks: 0, current: [0], backedUp: 0, unchanged: 0, failed: 1, changed: 0, copiedBytes: 0, unchangedBytes: 0, bytesPerSecond: 1, remainingMs: 1, failuresByType: { [value]: 1 }, sample: [{ path: value, type: value, message: value }], waitingFor: value } as unknown as BatchProgress;
  for (const page of [renderDetails(status, null), renderDetails(status, output), renderBatch(progress, value)]) {
    for (const line of page.split('\n')) expect(withoutSpans(line)).toMatch(OWN_WORDS);
  }
});
