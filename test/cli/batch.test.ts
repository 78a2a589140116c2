import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createWorkplace, jsonLines, until, type RunningCommand, type Workplace } from './run-command';

jest.setTimeout(120_000);

let place: Workplace;

beforeEach(() => {
  place = createWorkplace();
});

afterEach(() => place.remove());

/** So many files, whose names say where they are in the list. */
function makeFiles(count: number, folder = 'files'): string[] {
  mkdirSync(place.path(folder));
  return Array.from({ length: count }, (_, index) => {
    const name = join(folder, `file-${String(index).padStart(5, '0')}`);
    writeFileSync(place.path(name), `content ${index} `.repeat(index % 40));
    return name;
  });
}

function backups(folder = 'backups'): string[] {
  return readdirSync(place.path(folder)).filter((name) => name !== '.file-backup').sort();
}

/** Figures of the summary by their names. */
function summaryOf(stdout: string): Record<string, string> {
  return Object.fromEntries(stdout.split('\n').flatMap((line) => (/^ +[\w ]+: /.test(line) ? [[line.split(':')[0]?.trim() ?? '', line.slice(line.indexOf(':') + 1).trim()]] : [])));
}

test('files are backed up under NAME.backup with nothing but this command, and the summary adds up', async () => {
  const files = makeFiles(30);
  const { code, stdout, stderr } = await place.run(['batch', ...files, '--to', 'backups']);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^Backed up 30 files to ${place.path('backups')}\n`));
  expect(summaryOf(stdout)).toMatchObject({ Total: '30', Successful: '30', Failed: '0', Skipped: '0', 'Success rate': '100 %', Verified: 'by reading the copies back from the device' });
  expect(stderr).toContain(`Created ${place.path('backups')}\n`);
  expect(stderr).toMatch(/^Web UI: http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/file-backup-batch-/m);
  expect(backups()).toEqual(files.map((file) => `${file.slice('files/'.length)}.backup`));
  for (const file of files) expect(readFileSync(place.path('backups', `${file.slice('files/'.length)}.backup`))).toEqual(readFileSync(place.path(file)));
  await place.serverEnd();
});

test('the layout tree keeps the full paths', async () => {
  const files = [...makeFiles(1, 'one'), ...makeFiles(1, 'two')];
  expect((await place.run(['batch', ...files, '--to', 'backups', '--layout', 'tree'])).code).toBe(0);
  for (const file of files) expect(existsSync(join(place.path('backups'), place.path(file)))).toBe(true);
});

test('two sources that would meet in one target are refused with exit code 1, both named, and nothing is written', async () => {
  const files = [...makeFiles(1, 'one'), ...makeFiles(1, 'two')];
  const { code, stdout, stderr } = await place.run(['batch', ...files, '--to', 'backups']);
  expect(code).toBe(1);
  expect(stdout + stderr).toContain(`failed: TargetCollision: ${place.path(files[0] ?? '')} and ${place.path(files[1] ?? '')} would both become file-00000.backup`);
  expect(stdout + stderr).toContain('--layout tree');
  expect(stdout).toMatch(/\nNothing was published\.\n$/);
  expect(existsSync(place.path('backups'))).toBe(false);
});

test('failed files end with exit code 3, are named with their failure types, and do not stop the others', async () => {
  const files = makeFiles(3);
  symlinkSync(place.path(files[0] ?? ''), place.path('link'));
  const { code, stdout, stderr } = await place.run(['batch', ...files, 'missing', 'link', 'files', '--to', 'backups']);
  expect(code).toBe(3);
  expect(stdout).toMatch(/^Backed up 3 of 6 files to /);
  expect(summaryOf(stdout)).toMatchObject({ Total: '6', Successful: '3', Failed: '3', SourceNotFound: '1', SourceNotRegularFile: '2', 'Success rate': '50.000 %' });
  for (const name of ['missing', 'link', 'files']) expect(stderr).toContain(`  ${place.path(name)}: SourceNot`);
  const failures = /^All 3 failed and skipped files: (.*)$/m.exec(stderr)?.[1] ?? '';
  expect(readFileSync(failures, 'utf8').trim().split('\n')).toHaveLength(3);
  expect(backups()).toHaveLength(3);
});

test('all or nothing: one bad file ends with exit code 1 and leaves the directory as it was', async () => {
  const files = makeFiles(30);
  mkdirSync(place.path('backups'));
  writeFileSync(place.path('backups', 'file-00007.backup'), 'earlier');
  const { code, stdout, stderr } = await place.run(['batch', ...files, 'missing', '--to', 'backups', '--on-failure', 'roll-back', '--json']);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(jsonLines(stdout).at(-1)).toMatchObject({ messageType: 'result', success: false, errorCode: 'SourceNotFound', rollback: 'performed', successfulFiles: 0 });
  expect(backups()).toEqual(['file-00007.backup']);
  expect(readFileSync(place.path('backups', 'file-00007.backup'), 'utf8')).toBe('earlier');
});

test('a second run copies what has changed, and says how many are unchanged', async () => {
  const files = makeFiles(20);
  await place.run(['batch', ...files, '--to', 'backups']);
  writeFileSync(place.path(files[4] ?? ''), 'new');
  const { code, stdout } = await place.run(['batch', ...files, '--to', 'backups']);
  expect(code).toBe(0);
  expect(summaryOf(stdout)).toMatchObject({ Successful: '20 (19 unchanged since the last run)' });
  const again = await place.run(['batch', ...files, '--to', 'backups', '--rehash']);
  expect(summaryOf(again.stdout)).toMatchObject({ Successful: '20' });
});

test('an edit that keeps size and time is caught', async () => {
  const [file = ''] = makeFiles(2).slice(1);
  await place.run(['batch', file, '--to', 'backups']);
  const { atime, mtime } = statSync(place.path(file));
  writeFileSync(place.path(file), readFileSync(place.path(file), 'utf8').toUpperCase());
  utimesSync(place.path(file), atime, mtime);
  expect((await place.run(['batch', file, '--to', 'backups'])).code).toBe(0);
  expect(readFileSync(place.path('backups', 'file-00001.backup'))).toEqual(readFileSync(place.path(file)));
});

test('with --json progress and result are objects, with the numbers that a person sees', async () => {
  const files = makeFiles(2500);
  writeFileSync(place.path('list'), files.join('\n'));
  const { code, stdout, stderr } = await place.run(['batch', '--files-from', 'list', '--to', 'backups', '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = jsonLines(stdout);
  const result = lines.at(-1);
  expect(lines[0]).toMatchObject({ messageType: 'started', attached: false, operationId: result?.operationId });
  expect(result).toMatchObject({ messageType: 'result', success: true, totalFiles: 2500, successfulFiles: 2500 });
  for (const status of lines.slice(1, -1)) {
    expect(status).toMatchObject({ messageType: 'status', doneFiles: expect.any(Number) as number, doneBytes: expect.any(Number) as number, failedFiles: 0 });
    expect(Number(status.fraction)).toBeLessThanOrEqual(1);
  }
  // Nobody needs the list any more that the command had made of it.
  expect(readdirSync(join(place.stateDirectory, 'lists'))).toEqual([]);
});

/** Of a large file, cheap to make: it is one hole. */
/** One hole: it takes seconds to copy, and no space. */
const SIZE_BYTES = 1.5 * 1024 ** 3;

/** A batch that can be met while it runs: its first chunk is a large file, and one chunk is worked on at a time. */
function makeLongBatch(): string[] {
  const files = makeFiles(2200);
  writeFileSync(place.path('large'), 'the beginning');
  truncateSync(place.path('large'), SIZE_BYTES);
  writeFileSync(place.path('list'), ['large', ...files].join('\n'));
  return ['batch', '--files-from', 'list', '--to', 'backups', '--json', '--lanes', '1', '--verify-from', 'cache'];
}

/** Waits until a batch copies, by its own words, and answers its operation. */
async function underWay(command: RunningCommand): Promise<string> {
  const ended = command.end.then(({ stdout, stderr }) => {
    throw new Error(`The batch ended before: ${stdout}${stderr}`);
  });
  await Promise.race([until(() => /"doneBytes":[1-9]/.test(command.printed()), 'the batch is under way'), ended]);
  return /"operationId":"([0-9a-f-]+)"/.exec(command.printed())?.[1] ?? '';
}

test('a batch is paused, looked at and cancelled from elsewhere', async () => {
  const running = place.start(makeLongBatch());
  const id = await underWay(running);
  expect(await place.run(['pause', id])).toMatchObject({ code: 0, stdout: 'Paused: 0 of 2201 files are done, 1 chunks are under way.\n' });
  expect(await place.run(['pause', id])).toMatchObject({ code: 1, stderr: 'file-backup: The batch is paused already.\n' });
  await until(() => /"state":"paused",[^\n]*"doneFiles":1,/.test(running.printed()), 'the chunk under way is finished and no other started');
  const status = await place.run(['status', id]);
  expect(status.stdout).toMatch(/^Progress: +1 of 2201 files, .*, paused$/m);
  expect(status.stdout).toMatch(/^Chunks: +1 of \d+, 0 under way$/m);
  expect((await place.run(['cancel', id])).code).toBe(0);
  const { code, stdout } = await running.end;
  const result = jsonLines(stdout).at(-1);
  expect(code).toBe(1);
  expect(result).toMatchObject({ messageType: 'result', success: false, errorCode: 'Cancelled', totalFiles: 2201 });
  expect(backups()).toHaveLength(Number(result?.successfulFiles));
  expect(Number(result?.successfulFiles) + Number(result?.skippedFiles)).toBe(2201);
  expect((await place.run(['pause', id])).stderr).toMatch(/^file-backup: Run file-backup-batch-\w+ has ended already \(CANCELLED\)\.\n$/);
});

test('a batch that is not paused cannot be resumed, and a single file can be neither', async () => {
  const running = place.start(makeLongBatch());
  const id = await underWay(running);
  expect(await place.run(['resume', id])).toMatchObject({ code: 1, stderr: 'file-backup: The batch is not paused.\n' });
  await place.run(['file', 'list', 'copy', '--operation-id', '11111111-2222-4333-8444-555555555555']);
  expect((await place.run(['pause', '11111111-2222-4333-8444-555555555555'])).stderr).toMatch(/is the backup of a single file; only runs of many files can be told to pause\.\n$/);
  expect((await running.end).code).toBe(0);
});

test('where no worker answers, the status of a batch comes from its history', async () => {
  const running = place.start(makeLongBatch());
  const id = await underWay(running);
  await place.run(['pause', id]);
  await until(() => /"state":"paused",[^\n]*"doneFiles":1,/.test(running.printed()), 'the chunk under way is finished');
  running.child.kill('SIGKILL');
  await running.end;
  const { stdout } = await place.run(['status', id]);
  expect(stdout).toMatch(/^Progress: +1 of 2201 files, 1\.500 GiB of /m);
  expect(stdout).toMatch(/^Worker: +none answers/m);
});

test('Ctrl-C ends the command with exit code 130, and the same command continues the same operation', async () => {
  const command = makeLongBatch();
  const interrupted = place.start(command);
  await underWay(interrupted);
  interrupted.child.kill('SIGINT');
  const first = await interrupted.end;
  expect(first.code).toBe(130);
  const last = jsonLines(first.stdout).at(-1);
  expect(last).toMatchObject({ messageType: 'interrupted' });
  await place.serverEnd();
  const again = await place.run(command);
  expect(again.code).toBe(0);
  expect(jsonLines(again.stdout)[0]).toMatchObject({ messageType: 'started', attached: true, operationId: last?.operationId, runId: last?.runId });
  expect(jsonLines(again.stdout).at(-1)).toMatchObject({ success: true, totalFiles: 2201, successfulFiles: 2201, operationId: last?.operationId });
});

test('the same batch started twice at once is one operation, and both say that it is done', async () => {
  const command = makeLongBatch();
  const first = place.start(command);
  const id = await underWay(first);
  await place.run(['pause', id]);
  const second = place.start(command);
  await until(() => second.printed().includes('"attached":true'), 'the second one has found the first one');
  await until(() => /"state":"paused",[^\n]*"doneFiles":1,/.test(first.printed()), 'the chunk under way is finished');
  expect(await place.run(['resume', id])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Resumed: 1 of 2201 files are done, /) as string });
  const ends = await Promise.all([first.end, second.end]);
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  for (const { stdout } of ends) expect(jsonLines(stdout).at(-1)).toMatchObject({ success: true, successfulFiles: 2201, operationId: id });
});

test('two batches of different files go into one directory at the same time', async () => {
  const lists = ['one', 'two'].map((folder) => makeFiles(200, folder).map((file) => file));
  lists[1] = (lists[1] ?? []).map((file) => {
    const name = file.replace('file-', 'other-');
    writeFileSync(place.path(name), readFileSync(place.path(file)));
    return name;
  });
  const ends = await Promise.all(lists.map((files) => place.run(['batch', ...files, '--to', 'backups'])));
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  expect(backups()).toHaveLength(400);
});

test('two batches that are all or nothing exclude each other in one directory', async () => {
  const [command, other] = [makeLongBatch(), makeFiles(3, 'other')];
  const running = place.start([...command, '--on-failure', 'roll-back']);
  const id = await underWay(running);
  await place.run(['pause', id]);
  const refused = await place.run(['batch', ...other, '--to', 'backups', '--on-failure', 'roll-back']);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`Target ${place.path('backups')} is busy: operation `) as string });
  await place.run(['resume', id]);
  expect((await running.end).code).toBe(0);
});

test('statistics count batches and their files, and runs list them', async () => {
  const files = makeFiles(4);
  await place.run(['batch', ...files, '--to', 'backups']);
  await place.run(['batch', ...files, 'missing', '--to', 'elsewhere']);
  await place.run(['file', files[0] ?? '', 'copy']);
  const stats = jsonLines((await place.run(['stats', '--json'])).stdout)[0];
  const bytes = files.reduce((sum, file) => sum + statSync(place.path(file)).size, 0);
  expect(stats).toMatchObject({ totalBackups: 1, totalBatches: 2, successfulBatches: 1, partialBatches: 1, failedBatches: 0, batchFilesBackedUp: 8, batchFilesFailed: 1, totalBytesBackedUp: 2 * bytes + statSync(place.path(files[0] ?? '')).size, successRatePercent: 90 });
  const { runs } = jsonLines((await place.run(['runs', '--json'])).stdout)[0] as { runs: Record<string, unknown>[] };
  expect(runs.map(({ kind, state, sourcePath }) => [kind, state, sourcePath])).toEqual([
    ['file', 'committed', place.path(files[0] ?? '')],
    ['batch', 'partial', '5 files'],
    ['batch', 'committed', '4 files'],
  ]);
});

test('the destination is not made up: a batch into a file is refused', async () => {
  const files = makeFiles(2);
  writeFileSync(place.path('backups'), 'a file');
  const { code, stdout } = await place.run(['batch', ...files, '--to', 'backups', '--json', '--max-retries', '0']);
  expect(code).toBe(1);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ success: false, errorCode: expect.stringMatching(/^(TargetInvalid|TargetNotCanonical)$/) as string, rollback: 'notNeeded' });
  rmSync(place.path('backups'));
});
