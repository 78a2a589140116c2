import { printStream } from '../src/terminal';

/** Standard output whose reader does what the test says. */
let waiting: ((error?: Error) => void)[];
let printed: string;

beforeEach(() => {
  [waiting, printed] = [[], ''];
  jest.spyOn(process.stdout, 'write').mockImplementation(((text: string, callback: (error?: Error) => void) => {
    printed += text;
    waiting.push(callback);
    return false;
  }) as typeof process.stdout.write);
});

afterEach(() => jest.restoreAllMocks());

const LINES = 1000;
const line = (index: number): string => `${'x'.repeat(1000)}${index}`;

function manyLines(): { lines: Generator<string>; taken: () => number } {
  let taken = 0;
  const lines = function* (): Generator<string> {
    for (; taken < LINES; taken += 1) yield line(taken);
  };
  return { lines: lines(), taken: () => taken };
}

/** Lets everything happen that can happen without the reader. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('lines are taken no faster than they are read, and all arrive', async () => {
  const { lines, taken } = manyLines();
  const end = printStream(lines);
  await settle();
  expect(taken()).toBeLessThan(100);
  for (let reads = 0; waiting.length > 0 && reads < LINES; reads += 1) {
    waiting.pop()?.();
    await settle();
  }
  expect(await end).toBe(true);
  expect(printed).toBe(Array.from({ length: LINES }, (_, index) => `${line(index)}\n`).join(''));
});

test('nothing more is taken when the reader has gone', async () => {
  const { lines, taken } = manyLines();
  const end = printStream(lines);
  waiting.pop()?.(Object.assign(new Error('it has gone'), { code: 'EPIPE' }));
  expect(await end).toBe(false);
  expect(taken()).toBeLessThan(100);
});
