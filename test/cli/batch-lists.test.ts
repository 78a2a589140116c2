import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMAND, createWorkplace, jsonLines, onTestServer, type CommandEnd, type Workplace } from './run-command';

jest.setTimeout(120_000);

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
  mkdirSync(place.path('files'));
});

afterEach(() => place.remove());

function write(name: string | Buffer, content = 'content'): Buffer {
  const path = Buffer.concat([Buffer.from(`${place.path('files')}/`), Buffer.from(name)]);
  writeFileSync(path, content);
  return path;
}

/** Backs up what a list names. */
async function batch(list: string | Buffer, ...options: string[]): Promise<CommandEnd> {
  writeFileSync(place.path('list'), list);
  return place.run(['batch', '--files-from', 'list', '--to', 'backups', ...options], { env: onTestServer() });
}

function resultOf({ stdout }: CommandEnd): Record<string, unknown> | undefined {
  return jsonLines(stdout).at(-1);
}

/** Names of the backups, as bytes in hexadecimal when they are no text. */
function backups(): string[] {
  return readdirSync(place.path('backups'), { encoding: 'buffer' })
    .map((name) => (Buffer.from(name.toString()).equals(name) ? name.toString() : name.toString('hex')))
    .filter((name) => name !== '.file-backup')
    .sort();
}

test.each([
  ['an empty list', '', [], /^file-backup: The list list is empty: there is nothing to back up\n$/],
  ['a list of empty lines', '\n\n\n', [], /^file-backup: The list list is empty/],
  ['a list separated by NUL that is read as lines', 'files/a\0files/b\0', [], /^file-backup: Entry 1 of list contains a NUL character: is the list separated by NUL\? Then add --from0\.\n$/],
  ['the root directory', 'files/a\n/\n', [], /^file-backup: Entry 2 of list is the root directory: name files\n$/],
  ['a path that is too long', `/${'x'.repeat(5000)}\n`, [], /^file-backup: Entry 1 of list is a path of 5001 bytes; paths have at most 4095/],
  ['lines that are read as NUL-separated', Array.from({ length: 500 }, (_, index) => `files/${index}\n`).join(''), ['--from0'], /^file-backup: Entry 1 of list is a path of \d+ bytes; paths have at most 4095\n$/],
])('%s is refused with exit code 2, and nothing is started', async (_what, list, options, message) => {
  const { code, stdout, stderr } = await batch(list, ...options);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
  expect(readdirSync(place.directory).sort()).toEqual(['files', 'list']);
});

test.each([
  ['is not there', 'no-such-list', /^file-backup: The list no-such-list cannot be read: ENOENT/],
  ['is a directory', 'files', /^file-backup: The list files cannot be read: EISDIR/],
])('a list that %s is refused with exit code 2', async (_what, list, message) => {
  const { code, stderr } = await place.run(['batch', '--files-from', list, '--to', 'backups'], { env: onTestServer() });
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test('no files at all are refused with exit code 2', async () => {
  const { code, stderr } = await place.run(['batch', '--to', 'backups'], { env: onTestServer() });
  expect(code).toBe(2);
  expect(stderr).toBe('file-backup: Name at least one file, or a list of files with --files-from\n');
});

test('relative paths in a list are meant from where the command runs', async () => {
  write('a');
  const end = await batch('files/a\n./files/../files/a\n', '--json');
  expect(end.code).toBe(0);
  expect(resultOf(end)).toMatchObject({ totalFiles: 1, duplicateEntries: 1, successfulFiles: 1 });
});

test('directories of a list may be reached through links, the files themselves may not', async () => {
  write('a');
  symlinkSync(place.path('files'), place.path('other-name'));
  symlinkSync(place.path('files', 'a'), place.path('link'));
  const end = await batch('other-name/a\nlink\n', '--json');
  expect(end.code).toBe(3);
  expect(resultOf(end)).toMatchObject({ totalFiles: 2, successfulFiles: 1, failuresByType: { SourceNotRegularFile: 1 } });
});

test('names with line breaks travel in a list that is separated by NUL', async () => {
  const paths = ['two\nlines', ' leading and trailing ', '-dash', 'tab\t', 'x'.repeat(240)].map((name) => write(name));
  const end = await batch(Buffer.concat(paths.flatMap((path) => [path, Buffer.alloc(1)])), '--from0', '--json');
  expect(end.code).toBe(0);
  expect(backups()).toEqual([' leading and trailing .backup', '-dash.backup', 'tab\t.backup', 'two\nlines.backup', `${'x'.repeat(240)}.backup`].sort());
});

test('names that are no UTF-8 are copied byte for byte, below directories with names of any kind', async () => {
  const directory = mkdtempSync(join(place.path('files'), 'größer-'));
  const names = [Buffer.from([0x66, 0xff, 0xfe]), Buffer.from([0xc3])];
  const paths = names.map((name) => Buffer.concat([Buffer.from(`${directory}/`), name]));
  paths.forEach((path) => writeFileSync(path, 'content'));
  const end = await batch(Buffer.concat(paths.flatMap((path) => [path, Buffer.from('\n')])), '--json');
  expect(end.code).toBe(0);
  expect(resultOf(end)).toMatchObject({ totalFiles: 2, successfulFiles: 2 });
  expect(backups()).toEqual(names.map((name) => Buffer.concat([name, Buffer.from('.backup')]).toString('hex')).sort());
});

test('directories whose names are no UTF-8 are made anew in the layout tree', async () => {
  const directory = Buffer.concat([Buffer.from(`${place.path('files')}/`), Buffer.from([0xe4, 0x2f, 0xfc])]);
  mkdirSync(directory, { recursive: true });
  const path = Buffer.concat([directory, Buffer.from('/file')]);
  writeFileSync(path, 'content');
  const end = await batch(Buffer.concat([path, Buffer.from('\n')]), '--layout', 'tree', '--json');
  expect(end.code).toBe(0);
  expect(readFileSync(Buffer.concat([Buffer.from(place.path('backups')), path]), 'utf8')).toBe('content');
});

test('a destination with a line break in its name is a destination like any other', async () => {
  write('a');
  writeFileSync(place.path('list'), 'files/a');
  const end = await place.run(['batch', '--files-from', 'list', '--to', 'back\nups', '--json'], { env: onTestServer() });
  expect(end.code).toBe(0);
  expect(readFileSync(place.path('back\nups', 'a.backup'), 'utf8')).toBe('content');
});

test('a file that cannot be read leaves no empty directories', async () => {
  write('a');
  const end = await batch('files/a\nelsewhere/missing\n', '--layout', 'tree', '--json');
  expect(end.code).toBe(3);
  expect(existsSync(join(place.path('backups'), place.path('elsewhere')))).toBe(false);
});

test('directories, missing files and other kinds in a list fail by name', async () => {
  write('a');
  spawnSync('mkfifo', [place.path('files', 'fifo')]);
  const end = await batch(['files/a', 'files', 'files/', 'files/missing', 'missing/below', 'files/a/beneath', 'files/fifo', '/dev/null'].join('\n'), '--json');
  expect(end.code).toBe(3);
  expect(resultOf(end)).toMatchObject({ totalFiles: 7, duplicateEntries: 1, successfulFiles: 1, failedFiles: 6, failuresByType: { SourceNotRegularFile: 3, SourceNotFound: 3 } });
});

test('a list is read from standard input', () => {
  write('a');
  const found = spawnSync('find', [place.path('files'), '-type', 'f', '-print0']).stdout;
  const { PATH, HOME } = process.env;
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, 'batch', '--files-from', '-', '-0', '--to', 'backups', '--json'], { cwd: place.directory, input: found, env: { PATH, HOME, FILE_BACKUP_STATE_DIR: place.stateDirectory, ...onTestServer() }, encoding: 'utf8' });
  expect(status).toBe(0);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ successfulFiles: 1 });
});

test('a list of a million lines is taken, and what it names twice is copied once', async () => {
  const paths = Array.from({ length: 500 }, (_, index) => write(`file-${index}`, String(index)).toString());
  const end = await batch(`${Array.from({ length: 2000 }, () => paths.join('\n')).join('\n')}\n`, '--json');
  expect(end.code).toBe(0);
  expect(resultOf(end)).toMatchObject({ totalFiles: 500, duplicateEntries: 999_500, successfulFiles: 500 });
});

test('a list that is too long for another host is refused with the way out, and a file there is taken by its name', async () => {
  const files = Array.from({ length: 2000 }, (_, index) => write(`file-${index}`).toString());
  writeFileSync(place.path('list'), files.join('\n'));
  const refused = await place.run(['batch', ...files, '--to', 'backups', '--task-queue', 'elsewhere'], { env: onTestServer() });
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/^file-backup: 2000 files are too many to send to another host: put the list into a file there/);
  expect(readdirSync(join(place.stateDirectory, 'lists'))).toEqual([]);
});

test('the list is known by its content: what stands in it decides what the same batch is', async () => {
  write('a');
  write('b');
  const one = resultOf(await batch('files/a\nfiles/b\n', '--json'));
  const two = resultOf(await batch('./files/a\nfiles/b', '--json'));
  const other = resultOf(await batch('files/a\n', '--json'));
  expect(two?.workflowId).toBe(one?.workflowId);
  expect(other?.workflowId).not.toBe(one?.workflowId);
  expect(readFileSync(place.path('backups', 'a.backup'), 'utf8')).toBe('content');
});
