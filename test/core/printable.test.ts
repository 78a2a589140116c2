import fc from 'fast-check';
import { printable } from '../../src/core/printable';

test.each([
  ['/plain/path with spaces/ü/文/\u{1f600}', '/plain/path with spaces/ü/文/\u{1f600}'],
  ['/a\nb\tc\rd', '/a\\nb\\tc\\rd'],
  ['/bell\u0007', '/bell\\u0007'],
  ['/escape\u001b[2J', '/escape\\u001b[2J'],
  ['/delete\u007f', '/delete\\u007f'],
  ['/control sequence introducer\u009b2J', '/control sequence introducer\\u009b2J'],
  ['/line\u2028paragraph\u2029', '/line\\u2028paragraph\\u2029'],
  ['/override\u202egnp.exe', '/override\\u202egnp.exe'],
  ['/isolate\u2066a\u2069', '/isolate\\u2066a\\u2069'],
  ['/marks\u200e\u200f\u061c', '/marks\\u200e\\u200f\\u061c'],
  ['/zero width\u200b\u200d\ufeff', '/zero width\\u200b\\u200d\\ufeff'],
  ['/filler\u3164\uffa0\u034f\ufe0f', '/filler\\u3164\\uffa0\\u034f\\ufe0f'],
  ['/tag\u{e0041}', '/tag\\udb40\\udc41'],
  ['/half\ud800', '/half\\ud800'],
  ['/already\\u001b', '/already\\u001b'],
])('%j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

const anyText = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) });
const runs = { seed: 20_261_126, numRuns: 2000 };

test('no character stays that could steer a terminal, turn the direction, end the line or show nothing', () => {
  fc.assert(fc.property(anyText, (text) => !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(printable(text))), runs);
});

test('what is printable already stays as it is', () => {
  fc.assert(fc.property(anyText, (text) => printable(printable(text)) === printable(text)), runs);
});

test('a line of JSON stays equal JSON', () => {
  fc.assert(
    fc.property(fc.dictionary(anyText, fc.array(anyText)), (value) => {
      expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    runs,
  );
});
