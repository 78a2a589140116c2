import fc from 'fast-check';
import { formatBytes, formatDuration } from '../../src/core/format';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.000 KiB'],
  [1536, '1.500 KiB'],
  [1024 ** 2 - 1, '1023.999 KiB'],
  [1024 ** 2, '1.000 MiB'],
  [1024 ** 3 - 1, '1.000 GiB'],
  [1024 ** 4 - 1, '1.000 TiB'],
  [5 * 1024 ** 5, '5.000 PiB'],
  [2000 * 1024 ** 5, '2000.000 PiB'],
])('%d bytes are %s', (sizeBytes, text) => {
  expect(formatBytes(sizeBytes)).toBe(text);
});

test('no size is ever printed with 1024 of a unit that has a larger one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.double({ min: 0.999999, max: 1.000001, noNaN: true }), (power, factor) => parseFloat(formatBytes(Math.floor(1024 ** power * factor))) < 1024),
    { seed: 20_261_124, numRuns: 1000 },
  );
});

test.each([
  [0, '0 ms'],
  [950, '950 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [1000, '1.0 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min 0 s'],
  [60_000, '1 min 0 s'],
  [61_500, '1 min 2 s'],
  [3_599_400, '59 min 59 s'],
  [3_599_600, '1 h 0 min'],
  [3_661_000, '1 h 1 min'],
  [90_000_000, '25 h 0 min'],
])('%d ms are %s', (durationMs, text) => {
  expect(formatDuration(durationMs)).toBe(text);
});
