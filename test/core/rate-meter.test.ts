import { RateMeter, workOf } from '../../src/core/rate-meter';

test('one look tells nothing; from the second on rate and remaining time are known', () => {
  const meter = new RateMeter(10_000);
  const total = { files: 0, sizeBytes: 1000 };
  expect(meter.measure({ atMs: 0, files: 0, sizeBytes: 0 }, total)).toEqual({ bytesPerSecond: 0, remainingMs: undefined });
  expect(meter.measure({ atMs: 2000, files: 0, sizeBytes: 200 }, total)).toEqual({ bytesPerSecond: 100, remainingMs: 8000 });
});

test('only what happened lately counts', () => {
  const meter = new RateMeter(10_000);
  const total = { files: 0, sizeBytes: 100_000 };
  meter.measure({ atMs: 0, files: 0, sizeBytes: 0 }, total);
  meter.measure({ atMs: 9000, files: 0, sizeBytes: 90_000 }, total);
  expect(meter.measure({ atMs: 19_000, files: 0, sizeBytes: 90_000 }, total)).toEqual({ bytesPerSecond: 0, remainingMs: undefined });
});

test('empty files are work too', () => {
  const meter = new RateMeter(10_000);
  const total = { files: 100, sizeBytes: 0 };
  meter.measure({ atMs: 0, files: 0, sizeBytes: 0 }, total);
  expect(meter.measure({ atMs: 1000, files: 50, sizeBytes: 0 }, total)).toEqual({ bytesPerSecond: 0, remainingMs: 1000 });
  expect(workOf(total)).toBeGreaterThan(0);
});

test('what is started again moves the figures back, and never below zero', () => {
  const meter = new RateMeter(10_000);
  const total = { files: 0, sizeBytes: 1000 };
  meter.measure({ atMs: 0, files: 0, sizeBytes: 500 }, total);
  expect(meter.measure({ atMs: 1000, files: 0, sizeBytes: 100 }, total)).toEqual({ bytesPerSecond: 0, remainingMs: undefined });
});
