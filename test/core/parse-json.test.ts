import * as fs from 'node:fs';
import { messageOf, withoutContent } from '../../src/core/error-message';
import { MalformedJsonError, parseJson } from '../../src/core/parse-json';

const SECRET = 'hunter2';

/** What a call throws. */
function thrownBy(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('It did not throw');
}

test('JSON is parsed', () => {
  expect(parseJson('{"a":[1,"ü"]}')).toEqual({ a: [1, 'ü'] });
});

test.each([SECRET, `{"a": ${SECRET}}`, `{"a":1}\n${SECRET}`, `{"${SECRET}": `, `"${SECRET}`, `{"a":"${SECRET}\n"}`, `[1, ${SECRET}`, `${SECRET} at position 5`])('%j is refused without a word of it', (text) => {
  const error = thrownBy(() => parseJson(text));
  expect(error).toBeInstanceOf(MalformedJsonError);
  expect(error.cause).toBeUndefined();
  expect(`${error.message}${error.stack}`).not.toContain(SECRET);
  expect(error.message).toContain(`${text.length} characters`);
});

test('the position is named where it is known', () => {
  expect(thrownBy(() => parseJson('{"a": 1')).message).toBe('7 characters that are no JSON, from character 7 on');
});

test.each([
  ['a number that is none', () => BigInt(SECRET)],
  ['JSON that is none', () => JSON.parse(SECRET) as unknown],
  ['a pattern that is none', () => new RegExp(`(${SECRET}`)],
  ['a path with NUL', () => fs.openSync(`/\0${SECRET}`, 'r')],
])('the message of an error over %s tells nothing of it, and neither does a copy for logs', (_what, call) => {
  const error = thrownBy(call);
  const outer = new Error('A step failed', { cause: error });
  const copy = withoutContent(outer);
  const told = [messageOf(error), copy.message, copy.stack, (copy.cause as Error).message, (copy.cause as Error).stack].join('\n');
  expect(error.message).toContain(SECRET);
  expect(told).not.toContain(SECRET);
  expect(told).toContain('A step failed');
});

test('a copy keeps name, message, frames and causes of other errors', () => {
  const error = Object.assign(new TypeError('of one\nand two lines'), { secret: SECRET });
  const copy = withoutContent(error);
  expect(copy).toMatchObject({ name: 'TypeError', message: 'of one\nand two lines' });
  expect(copy.stack).toContain(__filename);
  expect(JSON.stringify(copy)).not.toContain(SECRET);
});

test('a chain of causes that never ends is cut', () => {
  const error = new Error('again');
  error.cause = error;
  expect(withoutContent(error).message).toBe('again');
});

test.each([[undefined, 'undefined that is no error was thrown'], ['text', 'text'], [{ message: 'like an error' }, 'like an error']])('%j has a message too', (thrown, message) => {
  expect(messageOf(thrown)).toBe(message);
});
