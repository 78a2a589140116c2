import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setEntryTimes } from '../../src/storage/posix';
import { contentOf, isRoot } from './files';

/** Everything that has gone wrong for some backup tool: names, kinds, modes, times. */
export function makeHostileTree(folder: string): void {
  const path = (...names: string[]): string => join(folder, ...names);
  fs.mkdirSync(path('sub', 'deeper'), { recursive: true });
  fs.mkdirSync(path('empty'));
  const names = ['-rf', ' leading', 'trailing ', 'line\nbreak', 'tab\t', 'carriage\rreturn', 'back\\slash', 'quote\'s "double"', '%41', '*?[x]', '.hidden', '~', 'ümläut', 'u\u0308', '日本語', '🎉', '\u202egnp', 'n'.repeat(255), 'ü'.repeat(127), 'SHA256SUMS', 'con', 'CASE', 'case'];
  for (const [index, name] of names.entries()) fs.writeFileSync(path('sub', name), contentOf(name, index * 100));
  for (const raw of ['\xff\xfe', 'caf\xe9', '\xc3\x28', 'half\xed\xa0\x80']) fs.writeFileSync(Buffer.concat([Buffer.from(path('sub')), Buffer.from(`/${raw}`, 'latin1')]), raw);
  const rawDirectory = Buffer.concat([Buffer.from(path()), Buffer.from('/d\xffir', 'latin1')]);
  fs.mkdirSync(rawDirectory);
  fs.writeFileSync(Buffer.concat([rawDirectory, Buffer.from('/inside')]), 'in a directory whose name is no text');
  fs.writeFileSync(path('nothing'), '');
  fs.writeFileSync(path('large'), contentOf('large', 3 * 1024 * 1024 + 17));
  fs.writeFileSync(path('sub', 'deeper', 'file'), 'x');
  fs.linkSync(path('large'), path('sub', 'large too'));
  fs.linkSync(path('large'), path('zlarge'));
  fs.symlinkSync('large', path('link'));
  fs.symlinkSync('missing', path('dangling'));
  fs.symlinkSync('sub', path('link to directory'));
  fs.symlinkSync('..', path('sub', 'up'));
  fs.symlinkSync('/etc/passwd', path('absolute'));
  fs.symlinkSync(Buffer.from('to \xff', 'latin1'), path('link to bytes'));
  execFileSync('mkfifo', [path('fifo')]);
  execFileSync('truncate', ['--size=1M', path('sparse')]);
  for (const [name, mode] of [['open', 0o777], ['private', 0o600], ['executable', 0o755], ['read only', 0o444]] as const) {
    fs.writeFileSync(path(name), name);
    fs.chmodSync(path(name), mode);
  }
  if (isRoot) fs.chownSync(path('private'), 12_345, 23_456);
  setEntryTimes(path('nothing'), -1_000_000_001n);
  setEntryTimes(path('open'), 1n);
  setEntryTimes(path('link'), 1_234_567_890_123_456_789n);
  setEntryTimes(path('executable'), 4_000_000_000_999_999_999n);
  fs.mkdirSync(path('closed'));
  fs.writeFileSync(path('closed', 'file'), 'in a directory that is read only');
  fs.chmodSync(path('closed'), 0o555);
  fs.chmodSync(path('sub'), 0o2775);
  for (const directory of ['empty', 'closed', 'sub/deeper', 'sub']) setEntryTimes(path(directory), 1_600_000_000_111_222_333n);
  setEntryTimes(path(), 1_500_000_000_444_555_666n);
}
