import { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { lineFormat } from '../../src/cli/line-format';

test('a progress bar prints its own bar, and what it is told as text', () => {
  let printed = '';
  const stream = Object.assign(new Writable({ write: (chunk: Buffer, _encoding, done) => ((printed += chunk.toString()), done()) }), { isTTY: true, columns: 200, cursorTo: () => true, clearLine: () => true });
  const bar = new SingleBar({ stream, format: lineFormat('{percentage}% |{bar}| {text}'), barsize: 10, noTTYOutput: true, linewrap: true });
  bar.start(10, 5, { text: 'a\u001b[2J\n\u202e{bar}' });
  bar.stop();
  expect(printed).toContain('50% |=====-----| a\\u001b[2J\\n\\u202e{bar}');
  expect(printed).not.toContain('[2J\n');
});
