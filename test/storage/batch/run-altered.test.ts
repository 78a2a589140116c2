import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { addTag, sumAt, sumOfTags, type JournalSums } from '../../../src/core/journal-sums';
import { backUpChunk } from '../../../src/storage/batch/backup-chunk';
import type { ChunkTask } from '../../../src/storage/batch/chunk';
import { checkJournals } from '../../../src/storage/batch/journal-check';
import { readChunk } from '../../../src/storage/batch/plan';
import { proofFor } from '../../../src/storage/batch/run-proof';
import { runDirectory, type RunLocation } from '../../../src/storage/batch/run-directory';
import { isCommitted, sealRun } from '../../../src/storage/batch/seal-run';
import { revokeRun, undoChunk } from '../../../src/storage/batch/undo-chunk';
import { amendJournal } from '../../../src/storage/batch/write-journal';
import { TransferControl } from '../../../src/storage/control';
import { initRepository } from '../../../src/storage/snapshot/repository';
import { finishRestore } from '../../../src/storage/snapshot/restore/finish-restore';
import { restoreChunk } from '../../../src/storage/snapshot/restore/restore-chunk';
import { sealSnapshot } from '../../../src/storage/snapshot/seal-snapshot';
import { snapshotChunk } from '../../../src/storage/snapshot/snapshot-chunk';
import { exactTree } from '../../helpers/exact-tree';
import { isRoot, useFolder } from '../../helpers/files';
import { writeSnapshot } from '../../helpers/snapshot-fixture';
import { codeOf, thrownBy } from '../operation';
import { Restore } from '../restore/restore';
import { SnapshotRun } from '../snapshot/snapshot-run';
import { Run } from './run';

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const control = new TransferControl();

/** Every file of a run's, changed as whoever may write there can: with all digests in the directory made to agree. */
function forgeLines(location: RunLocation, part: 'plan' | 'tree', forge: (lines: string[]) => string[]): void {
  const directory = join(runDirectory(location), 'plan');
  const lines = Buffer.from(forge(fs.readFileSync(join(directory, `${part}.ndjson`), 'utf8').split('\n').slice(0, -1)).map((line) => `${line}\n`).join(''));
  const index = fs.readFileSync(join(directory, `${part}.index`)).subarray(0, 64);
  index.writeDoubleLE(lines.toString().split('\n').length - 1, 16);
  createHash('sha256').update(lines).digest().copy(index, 32);
  fs.writeFileSync(join(directory, `${part}.ndjson`), lines);
  fs.writeFileSync(join(directory, `${part}.index`), index);
  const digests = JSON.parse(fs.readFileSync(join(directory, 'digests.json'), 'utf8')) as object;
  fs.writeFileSync(join(directory, 'digests.json'), JSON.stringify({ ...digests, [part]: createHash('sha256').update(index).digest('hex') }));
}

/** A run as it goes on when it was planned: with a proof in its history, or as runs of earlier programs. */
function batch({ proved = true } = {}): { readonly run: Run; readonly location: RunLocation; readonly task: (pass?: number, only?: number[], journalTag?: string) => ChunkTask } {
  for (const name of ['a', 'b']) fs.writeFileSync(path(name), `content of ${name}`);
  fs.mkdirSync(path('backups', folder()), { recursive: true });
  fs.writeFileSync(join(path('backups'), path('b')), 'previous b');
  const run = new Run(folder(), true);
  const planSha256 = run.plan([path('a'), path('b')], 'tree');
  const location = { ...run.location, ...(proved ? { proof: proofFor(planSha256 ?? '') } : {}) };
  const task = (pass = 0, only: number[] = [], journalTag?: string): ChunkTask => {
    const attempt = run.attempt(pass, only);
    return { ...attempt, settings: { ...attempt.settings, location }, journalTag };
  };
  return { run, location, task };
}

const journal = (location: RunLocation): string => join(runDirectory(location), 'journal', '000000000.ndjson');
const targets = (): unknown => exactTree(path('backups'), { skip: ['.file-backup'] });
const settled = (tag: string | undefined): JournalSums => ({ sums: addTag([], 0, tag ?? ''), unsettled: [], begun: 1 });

function expectAltered(calls: () => unknown): void {
  const before = targets();
  const { code, message } = thrownBy(calls);
  expect([code, message]).toEqual(['RunAltered', expect.stringMatching(/\.file-backup\/(runs|incoming)\/[^ ]+ is not as the run wrote it: .*nothing more was done/)]);
  expect(targets()).toEqual(before);
}

describe('a plan that was exchanged after planning, with digests of its own, is not acted on', () => {
  const elsewhere = (): string => JSON.stringify({ s: path('a'), t: 'elsewhere', z: 1 });

  test('by a chunk of a batch', () => {
    const { location, task } = batch();
    forgeLines(location, 'plan', () => [elsewhere()]);
    expectAltered(() => backUpChunk(task(), control));
  });

  test('by the end of a batch, which names what was not got to', () => {
    const { location } = batch();
    forgeLines(location, 'plan', () => [elsewhere()]);
    expectAltered(() => sealRun({ location, chunks: 1, facts: {}, keepRuns: 1 }, control));
    expect(fs.existsSync(join(runDirectory(location), 'manifest.ndjson'))).toBe(false);
  });

  test.each(['../outside', '/etc/passwd', 'a/../../b', 'a//b', '.', '', 'a\0b', 7, null, { base64: Buffer.from('../x').toString('base64') }])('and where no history vouches for it, its target %j is refused all the same', (target) => {
    const { location, task } = batch({ proved: false });
    forgeLines(location, 'plan', () => [JSON.stringify({ s: path('a'), t: target, z: 1 })]);
    expectAltered(() => backUpChunk(task(), control));
  });

  test('by undo of a chunk that has no journal', () => {
    const { location } = batch();
    forgeLines(location, 'plan', () => [elsewhere()]);
    revokeRun(location);
    expectAltered(() => undoChunk(location, 0));
  });
});

describe('a journal that was exchanged', () => {
  const done = (): ReturnType<typeof batch> & { tag: string | undefined } => {
    const made = batch();
    return { ...made, tag: backUpChunk(made.task(), control).journalTag };
  };
  const forgeries: Record<string, (location: RunLocation) => void> = {
    'for one that says something else': (location) => fs.writeFileSync(journal(location), fs.readFileSync(journal(location), 'utf8').replaceAll('"backedUp"', '"unchanged"')),
    'for one without a tag': (location) => fs.writeFileSync(journal(location), fs.readFileSync(journal(location), 'utf8').slice(65)),
    'for one with a tag of its own': (location) => fs.writeFileSync(journal(location), fs.readFileSync(journal(location), 'utf8').replace(/^.{64}/, 'f'.repeat(64))),
    'for that of another run': (location) => {
      const other = new Run(folder(), false, path('others'));
      const proof = proofFor(other.plan([path('a'), path('b')], 'tree') ?? '');
      const task = other.attempt();
      backUpChunk({ ...task, settings: { ...task.settings, location: { ...other.location, proof } } }, control);
      fs.copyFileSync(journal(other.location), journal(location));
    },
  };

  test.each(Object.keys(forgeries))('%s stops a repeated chunk, undo, amendment and the end', (name) => {
    const { location, task, tag } = done();
    forgeries[name]?.(location);
    expectAltered(() => backUpChunk(task(), control));
    expectAltered(() => backUpChunk(task(1, [0], tag), control));
    expectAltered(() => amendJournal(location, 0, [{ index: 0, entry: { state: 'backedUp' } }], tag));
    revokeRun(location);
    expectAltered(() => undoChunk(location, 0));
    expectAltered(() => sealRun({ location, chunks: 1, facts: {}, known: settled(tag), keepRuns: 1 }, control));
    expect(fs.existsSync(join(runDirectory(location), 'summary.json'))).toBe(false);
  });

  test('for that of an earlier pass stops the next pass and the end, although it is the run\'s own', () => {
    const { location, task, tag } = done();
    const first = fs.readFileSync(journal(location));
    const second = backUpChunk(task(1, [0], tag), control);
    expect(second).toMatchObject({ pass: 1, counts: { failed: 0 } });
    fs.writeFileSync(journal(location), first);
    expectAltered(() => backUpChunk(task(2, [0], second.journalTag), control));
    expectAltered(() => amendJournal(location, 0, [], second.journalTag));
    expectAltered(() => sealRun({ location, chunks: 1, facts: {}, known: settled(second.journalTag), keepRuns: 1 }, control));
    revokeRun(location);
    expectAltered(() => checkJournals({ location, first: 0, end: 1, chunks: 1, known: settled(second.journalTag) }));
  });

  test('for none is missed by the end and by undo', () => {
    const { location, tag } = done();
    fs.rmSync(journal(location));
    expectAltered(() => sealRun({ location, chunks: 1, facts: {}, known: settled(tag), keepRuns: 1 }, control));
    expectAltered(() => checkJournals({ location, first: 0, end: 1, chunks: 1, known: settled(tag) }));
  });

  test('between the check of all and the undo of one is noticed', () => {
    const { location, task, tag } = done();
    const first = fs.readFileSync(journal(location));
    const { journalTag } = backUpChunk(task(1, [0], tag), control);
    revokeRun(location);
    const [checked] = checkJournals({ location, first: 0, end: 1, chunks: 1, known: settled(journalTag) });
    fs.writeFileSync(journal(location), first);
    expectAltered(() => undoChunk(location, 0, checked));
  });

  test('in a run that nothing vouches for leads nowhere else by its fields', () => {
    const { location, task } = batch({ proved: false });
    backUpChunk(task(), control);
    revokeRun(location);
    const [sums = '', entry = ''] = fs.readFileSync(journal(location), 'utf8').split('\n');
    fs.writeFileSync(path('precious'), 'precious');
    for (const fields of [{ kept: '../../../../precious' }, { kept: 'kept-0/../../../../../precious' }, { target: '../precious', targetInode: String(fs.statSync(path('precious')).ino) }, { targetInode: 7 }, { __proto__: null, toString: 1 }]) {
      fs.writeFileSync(journal(location), `${sums}\n${JSON.stringify({ ...(JSON.parse(entry) as object), ...fields })}\n`);
      expectAltered(() => undoChunk(location, 0));
    }
    expect(fs.readFileSync(path('precious'), 'utf8')).toBe('precious');
  });
});

test('a summary that the run has not written ends neither the run nor its undo', () => {
  const { location, task } = batch();
  backUpChunk(task(), control);
  fs.writeFileSync(join(runDirectory(location), 'summary.json'), JSON.stringify({ formatVersion: 1, summary: { files: 2, backedUp: 2, unchanged: 0, failed: 0, skipped: 0, changed: 0, sizeBytes: 9 } }));
  revokeRun(location);
  expectAltered(() => isCommitted(location));
  expectAltered(() => sealRun({ location, chunks: 1, facts: {}, keepRuns: 1 }, control));
});

test('what nobody has touched goes on as ever: repeated, amended, sealed twice', () => {
  const { location, task } = batch();
  const { journalTag } = backUpChunk(task(), control);
  expect(backUpChunk(task(), control).journalTag).toBe(journalTag);
  const amended = amendJournal(location, 0, [{ index: 0, entry: { state: 'backedUp', sizeBytes: 3 } }], journalTag);
  expect(amendJournal(location, 0, [{ index: 0, entry: { state: 'backedUp', sizeBytes: 3 } }], journalTag).journalTag).toBe(amended.journalTag);
  const seal = { location, chunks: 1, facts: { state: 'complete', metadata: { b: '1', 1: '2' } }, known: settled(amended.journalTag), keepRuns: 1 };
  expect(sealRun(seal, control)).toMatchObject({ files: 2, backedUp: 2 });
  expect(sealRun(seal, control)).toMatchObject({ files: 2, backedUp: 2 });
  expect(isCommitted(location)).toBe(true);
});

describe('a snapshot', () => {
  function snapshot({ proved = true } = {}) {
    initRepository(path('repository'));
    fs.mkdirSync(path('source', 'sub'), { recursive: true });
    fs.writeFileSync(path('source', 'a'), 'content of a');
    fs.symlinkSync('a', path('source', 'link'));
    fs.mkdirSync(path('outside'), { mode: 0o700 });
    fs.chmodSync(path('outside'), 0o700);
    const run = new SnapshotRun(folder(), path('repository'), [path('source')]);
    const { planSha256 } = run.plan();
    const location = { ...run.location, ...(proved ? { proof: proofFor(planSha256 ?? '') } : {}) };
    const attempt = run.attempt();
    const task = { ...attempt, settings: { ...attempt.settings, location } };
    const facts = { name: run.name, id: run.name.slice(-8), host: 'h', tags: [], startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:00.000Z', workflowId: 'snapshot', runId: location.runId, operationId: location.runId, metadata: {}, programVersion: '0' };
    return { run, location, task, seal: (known?: JournalSums) => sealSnapshot({ location, owner: run.owner, facts, known, settings: { sourceRoots: [], verify: 'cache', onSourceChanged: 'fail', keepPrevious: false, syncEach: true } }, control) };
  }

  const directory = (at: string, extra: object = {}): string => JSON.stringify({ at: 9, entry: { path: at, mode: '0777', uid: 12345, gid: 12345, mtimeNs: '1', state: 'recorded', type: 'directory', ...extra } });
  const link = (): string => JSON.stringify({ at: 9, entry: { path: '/zz', mode: '0777', uid: 0, gid: 0, mtimeNs: '1', state: 'recorded', type: 'symlink', linkTarget: path('outside') } });

  const forgeries: Record<string, () => string[]> = {
    'leads out of the copies': () => [directory(`/../../../../../..${path('outside')}`)],
    'goes on below a link of its own': () => [link(), directory('/zz/sub')],
    'makes a directory of what it has just made a link': () => [link(), directory('/zz')],
    'is out of order': () => [directory('/zz'), directory('/yy')],
    'has a mode of more bits': () => [directory('/zz', { mode: '107777' })],
    'has a mode that is a number': () => [directory('/zz', { mode: 511 })],
    'has an owner that is none': () => [directory('/zz', { uid: -1 })],
  };

  test.each(Object.keys(forgeries).flatMap((name) => [[name, true], [name, false]] as const))('whose tree %s is not made (with a proof: %s)', (name, proved) => {
    const { location, task, seal } = snapshot({ proved });
    const { journalTag } = snapshotChunk(task, control);
    forgeLines(location, 'tree', (lines) => [...lines, ...(forgeries[name]?.() ?? [])]);
    const before = fs.statSync(path('outside'));
    expect(codeOf(() => seal(proved ? settled(journalTag) : undefined))).toBe('RunAltered');
    expect(fs.existsSync(path('repository', task.settings.location.runId))).toBe(false);
    const { mode, uid, ctimeMs } = fs.statSync(path('outside'));
    expect({ mode, uid, ctimeMs }).toEqual({ mode: before.mode, uid: before.uid, ctimeMs: before.ctimeMs });
  });

  test('whose journal names another attempt\'s directory does not empty that', () => {
    const { location, task, seal } = snapshot({ proved: false });
    snapshotChunk(task, control);
    fs.writeFileSync(path('outside', 'precious'), 'precious');
    fs.writeFileSync(journal(location), fs.readFileSync(journal(location), 'utf8').replace(task.attemptName, '../../../../../outside'));
    expect(codeOf(() => seal())).toBe('RunAltered');
    expect(codeOf(() => snapshotChunk(task, control))).toBe('RunAltered');
    expect(fs.readdirSync(path('outside'))).toEqual(['precious']);
  });

  test('whose chunk was taken away is not published', () => {
    const { location, task, seal } = snapshot();
    const { journalTag } = snapshotChunk(task, control);
    const written = fs.readFileSync(journal(location), 'utf8');
    for (const text of [written.replaceAll('"copied"', '"unchanged"'), written.slice(65)]) {
      fs.writeFileSync(journal(location), text);
      expect(codeOf(() => seal(settled(journalTag)))).toBe('RunAltered');
    }
    fs.writeFileSync(journal(location), written);
    expect(seal(settled(journalTag))).toMatchObject({ status: 'complete', counts: { files: 1 } });
  });
});

describe('a restore', () => {
  function restore({ proved = true } = {}) {
    initRepository(path('repository'));
    fs.mkdirSync(path('source', 'sub'), { recursive: true });
    fs.writeFileSync(path('source', 'a'), 'content of a');
    writeSnapshot(path('repository'), path('source'));
    const made = new Restore(folder());
    made.open();
    const { planSha256 } = made.plan();
    const location = { ...made.location, ...(proved ? { proof: proofFor(planSha256 ?? '') } : {}) };
    return { made, location, task: { ...made.task(), settings: { ...made.settings(), location } } };
  }

  const setUserId = (line: string): string => line.replace(/"mode":"\d{4}"/, '"mode":"4755"').replace(/"uid":\d+/, '"uid":0');

  (isRoot ? test : test.skip)('whose plan was exchanged makes no set-user-id program (as root)', () => {
    const { location, task } = restore();
    forgeLines(location, 'plan', (lines) => lines.map(setUserId));
    expect(codeOf(() => restoreChunk(task, control))).toBe('RunAltered');
    expect(fs.existsSync(path('target', path('source', 'a')))).toBe(false);
  });

  test.each(['/../outside', '/', 'relative', '/a/./b', '/a//b'])('whose plan leads to %j is refused also where nothing vouches for it', (at) => {
    const { location, task, made } = restore({ proved: false });
    forgeLines(location, 'plan', (lines) => lines.map((line) => JSON.stringify({ ...(JSON.parse(line) as object), path: at })));
    expect(codeOf(() => restoreChunk(task, control))).toBe('RunAltered');
    forgeLines(location, 'tree', (lines) => lines.map((line) => JSON.stringify({ ...(JSON.parse(line) as object), path: at })));
    expect(codeOf(() => made.finish())).toBe('RunAltered');
  });

  test('whose tree was exchanged makes nothing of it', () => {
    const { location, task, made } = restore();
    const { journalTag } = restoreChunk(task, control);
    forgeLines(location, 'tree', (lines) => lines.map(setUserId));
    const { ground } = made as unknown as { ground: Parameters<typeof finishRestore>[0]['ground'] };
    expect(codeOf(() => finishRestore({ settings: task.settings, owner: task.owner, ground, chunks: 1, known: settled(journalTag), cancelled: false }, control))).toBe('RunAltered');
    expect(fs.existsSync(path('target', path('source', 'sub')))).toBe(false);
  });
});

describe('sums of tags', () => {
  const tags = Array.from({ length: 20 }, (_, index) => createHash('sha256').update(String(index)).digest('hex'));

  test('are the same in any order, and others as soon as one tag is', () => {
    const sum = sumOfTags(tags);
    expect(sumOfTags([...tags].reverse())).toBe(sum);
    expect(tags.reduce<string[]>((sums, tag) => addTag(sums, 0, tag), [])).toEqual([sum]);
    expect(sumOfTags(tags.slice(1))).not.toBe(sum);
    expect(sum).toMatch(/^[0-9a-f]{64}$/);
  });

  test('stand side by side, and of nothing is nought', () => {
    const sums = addTag([], 2, tags[0] ?? '');
    expect([sumAt({ sums }, 0), sumAt({ sums }, 2), sumAt({ sums }, 7)]).toEqual(['0'.repeat(64), tags[0], '0'.repeat(64)]);
  });
});

test('a run whose whole directory is away is waited for, and not taken for an altered one', () => {
  const { location, task } = batch();
  const { journalTag } = backUpChunk(task(), control);
  fs.renameSync(runDirectory(location), path('away'));
  expect(codeOf(() => backUpChunk(task(1, [0], journalTag), control))).toBe('DestinationGone');
  expect(codeOf(() => readChunk(location, 0))).toBe('DestinationGone');
  expect(codeOf(() => amendJournal(location, 0, [], journalTag))).toBe('DestinationGone');
  expect(codeOf(() => checkJournals({ location, first: 0, end: 1, chunks: 1, known: settled(journalTag) }))).toBe('DestinationGone');
});
