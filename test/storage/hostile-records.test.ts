import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { removeCreatedDirectories } from '../../src/storage/batch/created-directories';
import { readLines } from '../../src/storage/batch/journal';
import { LastRun } from '../../src/storage/batch/last-run';
import { withList } from '../../src/storage/batch/list-reader';
import { requireOwner } from '../../src/storage/batch/open-run';
import { readChunk } from '../../src/storage/batch/plan';
import { isCommitted } from '../../src/storage/batch/seal-run';
import { TransferControl } from '../../src/storage/control';
import { StorageError } from '../../src/storage/errors';
import { makeFifo } from '../../src/storage/posix';
import { openSnapshot } from '../../src/storage/snapshot/metadata';
import { pruneRepository } from '../../src/storage/snapshot/prune-repository';
import { planCheck } from '../../src/storage/snapshot/check/plan-check';
import { initRepository, readRepository } from '../../src/storage/snapshot/repository';
import { listSnapshots, readRecord } from '../../src/storage/snapshot/snapshot-record';
import { readTree } from '../../src/storage/snapshot/snapshot-plan';
import { previewRestore, type PreviewRequest } from '../../src/storage/snapshot/restore/preview-restore';
import { treeItems } from '../../src/storage/snapshot/restore/read-items';
import { StagingRegistry } from '../../src/storage/staging-registry';
import { useFolder } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { Mutator } from '../helpers/mutate';
import { chooseSeed, describeSeed, SeededRandom } from '../helpers/seeded-random';
import { Run } from './batch/run';
import { Restore } from './restore/restore';
import { SnapshotRun } from './snapshot/snapshot-run';

const folder = useFolder();
const path = (...names: string[]): string => join(folder(), ...names);
const SECRET = 'root:x:secret';

/** A file that is read again, and how; made anew for each test. */
interface Kind {
  readonly file: string;
  readonly read: () => unknown;
  /** Makes what vouches for the file fit what is in it now, as whoever forges it would. */
  readonly vouch?: () => void;
}

interface Prepared {
  readonly prepare: () => Kind;
  readonly code: string;
  /** One value a line, or bytes: then only how it is opened is the same for all. */
  readonly isRecord: boolean;
}

function repository(): string {
  initRepository(path('repository'));
  fs.mkdirSync(path('source', 'sub'), { recursive: true });
  for (const name of ['a', 'sub/b']) fs.writeFileSync(path('source', name), `content of ${name}`);
  fs.symlinkSync('a', path('source', 'link'));
  return path('repository');
}

function batch(): Run {
  fs.mkdirSync(path('backups'), { recursive: true });
  for (const name of ['a', 'b']) fs.writeFileSync(path(name), `content of ${name}`);
  const run = new Run(folder(), true);
  run.plan([path('a'), path('b')], 'tree');
  return run;
}

function snapshot(): SnapshotRun {
  const run = new SnapshotRun(folder(), repository(), [path('source')]);
  run.plan();
  return run;
}

function restore(): Restore {
  writeSnapshot(repository(), path('source'));
  const made = new Restore(folder());
  made.open();
  made.plan();
  return made;
}

const inRun = ({ destination, runId, area }: Run['location'], ...names: string[]): string => join(destination, '.file-backup', area ?? 'runs', runId, ...names);

const kinds: Record<string, Prepared> = {
  'the mark of a repository': { code: 'RepositoryUnsupported', isRecord: true, prepare: () => ({ file: join(repository(), '.file-backup', 'repository.json'), read: () => readRepository(path('repository')) }) },
  'the record of a snapshot': {
    code: 'SnapshotDamaged',
    isRecord: true,
    prepare: () => {
      const name = writeSnapshot(repository(), path('source'));
      return { file: path('repository', name, 'snapshot.json'), read: () => readRecord(path('repository'), name) };
    },
  },
  'the owner of a run': { code: 'NotOwnRun', isRecord: true, prepare: () => ownKind(batch(), 'owner.json', ({ location, owner }) => requireOwner(location, owner)) },
  'a plan in numbers': { code: 'RunAltered', isRecord: true, prepare: () => ownKind(batch(), 'plan/planned.json', (run) => run.plan([path('a')], 'tree')) },
  'the digests of a plan': { code: 'RunAltered', isRecord: true, prepare: () => ownKind(batch(), 'plan/digests.json', ({ location }) => readChunk(location, 0)) },
  'the index of a plan': { code: 'RunAltered', isRecord: false, prepare: () => ownKind(batch(), 'plan/plan.index', ({ location }) => readChunk(location, 0)) },
  'the lines of a plan': { code: 'RunAltered', isRecord: false, prepare: () => ownKind(batch(), 'plan/plan.ndjson', ({ location }) => readChunk(location, 0)) },
  'the tree of a snapshot\'s plan': { code: 'RunAltered', isRecord: false, prepare: () => ownKind(snapshot(), 'plan/tree.ndjson', ({ location }) => [...readTree(location)]) },
  'the tree of a restore\'s plan': { code: 'RunAltered', isRecord: false, prepare: () => ownKind(restore(), 'plan/tree.ndjson', ({ location }) => [...treeItems(location)]) },
  'a journal': {
    code: 'RunAltered',
    isRecord: false,
    prepare: () => {
      const run = batch();
      run.run();
      return ownKind(run, 'journal/000000000.ndjson', ({ location }) => readLines(location, 0));
    },
  },
  'the summary of a batch': {
    code: 'RunAltered',
    isRecord: true,
    prepare: () => {
      const run = batch();
      run.run();
      run.seal();
      return ownKind(run, 'summary.json', ({ location }) => isCommitted(location));
    },
  },
  'the summary of a restore': {
    code: 'RunAltered',
    isRecord: true,
    prepare: () => {
      const made = restore();
      for (const chunk of [0]) made.chunk(chunk);
      made.finish();
      return ownKind(made, 'summary.json', () => made.finish());
    },
  },
  'an entry of the worker\'s registry': {
    code: 'StateDirectoryError',
    isRecord: true,
    prepare: () => {
      const registry = new StagingRegistry(path('state'));
      const { location } = batch();
      registry.add({ kind: 'run', owner: { clusterId: 'c', namespace: 'n', workflowId: 'w', runId: location.runId }, location, ground: { destination: { path: '/', device: '1', inode: '1' }, missingDirectories: [] }, rollBack: true, chunks: 1, facts: {} });
      return { file: path('state', 'staging', `${location.runId}.json`), read: () => registry.findRun(location.runId) };
    },
  },
};

function ownKind<Made extends { readonly location: Run['location'] }>(made: Made, name: string, read: (made: Made) => unknown): Kind {
  return { file: inRun(made.location, name), read: () => read(made) };
}

function findingOf(read: () => unknown): StorageError {
  const startedMs = performance.now();
  try {
    read();
  } catch (error) {
    expect(performance.now() - startedMs).toBeLessThan(5000);
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error('Nothing was found to be wrong');
}

function expectFinding({ file, read }: Kind, code: string): void {
  const finding = findingOf(read);
  expect([finding.code, finding.message]).toEqual([code, expect.not.stringContaining(SECRET)]);
  expect(JSON.stringify({ ...finding, cause: String(finding.cause) })).not.toContain(SECRET);
  expect(finding.message).toContain(file.split('/').at(-1));
}

/** What somebody else may have put in the place of any file. */
const replacements: Record<string, (file: string) => void> = {
  'a link to another file of the kind': (file) => {
    fs.renameSync(file, path('elsewhere'));
    fs.symlinkSync(path('elsewhere'), file);
  },
  'a link to a secret': (file) => {
    fs.rmSync(file);
    fs.writeFileSync(path('secret'), SECRET);
    fs.symlinkSync(path('secret'), file);
  },
  'a FIFO': (file) => {
    fs.rmSync(file);
    makeFifo(file, 0o600);
  },
  'a directory': (file) => {
    fs.rmSync(file);
    fs.mkdirSync(file);
  },
  'a link to /dev/zero': (file) => {
    fs.rmSync(file);
    fs.symlinkSync('/dev/zero', file);
  },
  'more than there is memory': (file) => fs.truncateSync(file, 2 ** 40 + 1),
  'text that is nothing of ours': (file) => fs.writeFileSync(file, `${SECRET}\n`.repeat(10)),
  'half of itself': (file) => fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2)),
};

describe.each(Object.keys(kinds))('%s', (name) => {
  const { prepare, code, isRecord } = kinds[name] as Prepared;

  test.each(Object.keys(replacements))('that is %s is a finding, at once and without its content', (replacement) => {
    const kind = prepare();
    replacements[replacement]?.(kind.file);
    expectFinding(kind, code);
  });

  (isRecord ? test : test.skip)('with any field missing, of another type or unknown is a finding', () => {
    const kind = prepare();
    const written = JSON.parse(fs.readFileSync(kind.file, 'utf8')) as Record<string, unknown>;
    const values = [null, 7, 'text', [], [SECRET], [null], { [SECRET]: SECRET }, `{"__proto__":{"${SECRET}":1},${JSON.stringify(written).slice(1)}`, `{"constructor":1,${JSON.stringify(written).slice(1)}`, `${'['.repeat(100_000)}`];
    const texts = values.map((value) => (typeof value === 'string' && value.length > 4 ? value : JSON.stringify(value)));
    for (const field of Object.keys(written).filter((each) => each !== 'area')) {
      for (const value of [{ [SECRET]: 1 }, [SECRET], -1, 1.5, 2 ** 60]) texts.push(JSON.stringify({ ...written, [field]: value }));
    }
    for (const text of texts) {
      fs.writeFileSync(kind.file, text);
      const finding = findingOf(kind.read);
      expect([text.slice(0, 200), ['RepositoryUnsupported', code].includes(finding.code), finding.message.includes(SECRET)]).toEqual([text.slice(0, 200), true, false]);
    }
  });
});

test.each(['the mark of a repository', 'the record of a snapshot'])('%s of a later version is told from a damaged one', (name) => {
  const { file, read } = (kinds[name] as Prepared).prepare();
  const written = JSON.parse(fs.readFileSync(file, 'utf8')) as object;
  fs.writeFileSync(file, JSON.stringify({ ...written, formatVersion: 2, novelty: SECRET }));
  const { code, message } = findingOf(read);
  expect([code, message]).toEqual(['RepositoryUnsupported', expect.stringContaining('format version 2') as string]);
});

test('a repository whose own directory is a link is none: what it says must be said here', () => {
  fs.renameSync(join(repository(), '.file-backup'), path('elsewhere'));
  fs.symlinkSync(path('elsewhere'), path('repository', '.file-backup'));
  expect(findingOf(() => readRepository(path('repository'))).code).toBe('TargetNotCanonical');
});

describe('a repository with one ill snapshot goes on for the others', () => {
  const breaks: Record<string, (file: string) => void> = { ...replacements, 'a record of null': (file) => fs.writeFileSync(file, 'null'), 'a record whose counts are text': (file) => fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/"counts": \{[^}]*\}/, '"counts": "none"')) };

  test.each(Object.keys(breaks))('where its record is %s', (name) => {
    const first = writeSnapshot(repository(), path('source'), { startedAt: new Date('2026-01-01T00:00:00Z') });
    const second = writeSnapshot(path('repository'), path('source'), { startedAt: new Date('2026-01-02T00:00:00Z') });
    const third = writeSnapshot(path('repository'), path('source'), { startedAt: new Date('2026-01-03T00:00:00Z') });
    breaks[name]?.(path('repository', second, 'snapshot.json'));
    expect(listSnapshots(path('repository')).map(({ name: each, record }) => [each, record !== undefined])).toEqual([[first, true], [second, false], [third, true]]);
    const control = new TransferControl();
    expect(planCheck({ repository: path('repository'), snapshot: second, share: null }, control).problems).not.toEqual([]);
    expect(planCheck({ repository: path('repository'), snapshot: third, share: null }, control).problems).toEqual([]);
    const pruned = pruneRepository({ repository: path('repository'), policy: { last: 1, tags: [] }, tags: [], sources: [], readData: false, dryRun: false, nowMs: Date.now() }, control);
    expect([pruned.damaged.map((each) => each.name), pruned.removedSnapshots]).toEqual([[second], 1]);
    expect(new SnapshotRun(folder(), path('repository'), [path('source')]).take()).toMatchObject({ status: 'complete', parent: third });
  });

  test('where its metadata is forged, with a record that fits: it is no parent from there on', () => {
    const run = new SnapshotRun(folder(), repository(), [path('source')]);
    run.take();
    const file = path('repository', run.name, 'metadata.ndjson');
    const [head = '', ...rest] = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
    for (const forged of [[head, `{"path":"/x","${SECRET}":1}`], [head, 'x'.repeat(300_000)], [head, head], [head, ...rest, JSON.stringify(SECRET)]]) {
      const metadata = `${forged.join('\n')}\n`;
      fs.writeFileSync(file, metadata);
      const record = path('repository', run.name, 'snapshot.json');
      const written = JSON.parse(fs.readFileSync(record, 'utf8')) as Record<string, unknown>;
      delete written.sha256;
      const altered = { ...written, metadataSha256: createHash('sha256').update(metadata).digest('hex') };
      fs.writeFileSync(record, `${JSON.stringify({ ...altered, sha256: createHash('sha256').update(JSON.stringify(altered)).digest('hex') }, null, 2)}\n`);
      const { code, message } = findingOf(() => [...openSnapshot(path('repository'), run.name).entries()]);
      expect([code, message]).toEqual(['SnapshotDamaged', expect.not.stringContaining(SECRET)]);
      expect(new SnapshotRun(folder(), path('repository'), [path('source')]).take().status).toBe('complete');
    }
  });
});

test('an entry of the worker\'s registry that is none does not hide the others', () => {
  const { file } = (kinds['an entry of the worker\'s registry'] as Prepared).prepare();
  fs.copyFileSync(file, path('state', 'staging', 'other.json'));
  fs.writeFileSync(file, SECRET);
  const refused: string[] = [];
  expect(new StagingRegistry(path('state')).list((finding) => refused.push(finding.message))).toHaveLength(1);
  expect(refused).toEqual([expect.not.stringContaining(SECRET)]);
});

test.each(Object.keys(replacements))('the manifest of the last run that is %s is no help, and no harm', (replacement) => {
  const run = batch();
  run.run();
  run.seal();
  const file = inRun(run.location, 'manifest.ndjson');
  replacements[replacement]?.(file);
  const last = LastRun.open(run.location);
  expect(last?.find(path('b').slice(1))).toBeUndefined();
  last?.close();
});

test('a list of made directories that names others is not followed', () => {
  const run = batch();
  fs.mkdirSync(path('others'));
  fs.mkdirSync(inRun(run.location, 'staging.revoked'));
  for (const directory of [path('others'), `${path('backups')}/../others`, '/']) {
    fs.writeFileSync(inRun(run.location, 'staging.revoked', 'directories'), `\n${JSON.stringify(directory)}\n`);
    expect(findingOf(() => removeCreatedDirectories(run.location)).code).toBe('RunAltered');
  }
  expect(fs.existsSync(path('others'))).toBe(true);
});

describe('a list of sources', () => {
  const sha256Of = (data: string): string => createHash('sha256').update(data).digest('hex');
  const read = (data: string, sha256 = sha256Of(data)): string[] => {
    fs.writeFileSync(path('list'), data);
    return withList({ root: folder(), path: path('list'), separator: 'newline', sha256 }, (list) => [...list.entries()].map(({ path: each }) => String(each)));
  };

  test('is read as it is', () => {
    expect(read('/a\n\n/b')).toEqual(['/a', '/b']);
  });

  test.each([['relative', `/a\n${SECRET}\n`], ['with ".."', `/a\n/${SECRET}/../b\n`], ['too long', `/a\n/${SECRET.repeat(500)}\n`], ['with NUL', `/a\n/${SECRET}\0\n`]])('with an entry that is %s names its number and not its text', (_what, data) => {
    const { code, message } = findingOf(() => read(data));
    expect([code, message]).toEqual(['InvalidInput', expect.stringMatching(/^Entry 2 of /)]);
    expect(message).not.toContain(SECRET);
  });

  test('that is another file is not read: its digest is not the one that was asked for', () => {
    const { code, message } = findingOf(() => read(`/etc/${SECRET}\n`, sha256Of('/a\n')));
    expect([code, message]).toEqual(['InvalidInput', expect.not.stringContaining(SECRET)]);
  });

  test.each([
    ['a link', () => fs.symlinkSync(path('secret'), path('list')), 'SourceNotRegularFile'],
    ['a FIFO', () => makeFifo(path('list'), 0o600), 'SourceNotRegularFile'],
    ['a directory', () => fs.mkdirSync(path('list')), 'SourceNotRegularFile'],
    ['more than there is memory', () => (fs.writeFileSync(path('list'), ''), fs.truncateSync(path('list'), 2 ** 40)), 'InvalidInput'],
  ] as const)('that is %s is refused at once', (_what, make, code) => {
    fs.writeFileSync(path('secret'), `/a\n`);
    make();
    expect(findingOf(() => withList({ root: folder(), path: path('list'), separator: 'newline', sha256: sha256Of('/a\n') }, (list) => [...list.entries()])).code).toBe(code);
  });

  test('outside of its root is refused', () => {
    fs.mkdirSync(path('root'));
    fs.writeFileSync(path('list'), '/a\n');
    expect(findingOf(() => withList({ root: path('root'), path: path('list'), separator: 'newline', sha256: sha256Of('/a\n') }, () => undefined)).code).toBe('EACCES');
  });
});

/** How many changed files are read in all, over all kinds. */
const FUZZED = Number(process.env.FILE_BACKUP_FUZZ_RECORDS ?? 20_000);
const MOST_MS = 5000;

/** Values of a file that has them as JSON, one a line; undefined where a line is none. */
function valuesIn(text: string): unknown[] | undefined {
  try {
    return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
  } catch {
    return undefined;
  }
}

/** Flips, drops and doubles bytes anywhere. */
function changedBytes(bytes: Buffer, random: SeededRandom): Buffer {
  const changed = [...bytes];
  for (let count = random.whole(1, 6); count > 0 && changed.length > 0; count -= 1) {
    const place = random.whole(0, changed.length);
    const roll = random.next();
    if (roll < 0.5) changed[place] = (changed[place] ?? 0) ^ (1 << random.whole(0, 8));
    else if (roll < 0.75) changed.splice(place, random.whole(1, 9));
    else changed.splice(place, 0, ...changed.slice(place, place + random.whole(1, 30)));
  }
  return Buffer.from(changed);
}

function changedFile(bytes: Buffer, values: unknown[] | undefined, mutator: Mutator, random: SeededRandom): Buffer {
  if (values === undefined || values.length === 0 || random.next() < 0.4) return changedBytes(bytes, random);
  const place = random.whole(0, values.length);
  const changed = values.map((value, index) => (index === place ? mutator.mutate(value) : value));
  return Buffer.from(changed.map((value) => `${JSON.stringify(value) ?? ''}\n`).join(''));
}

/** Makes the digests in a snapshot's record those of its metadata and its sums, as they are now. */
function vouchFor(name: string): void {
  const file = path('repository', name, 'snapshot.json');
  const digestOf = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
  const written = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
  delete written.sha256;
  const record = { ...written, metadataSha256: digestOf(fs.readFileSync(path('repository', name, 'metadata.ndjson'))), checksumsSha256: digestOf(fs.readFileSync(path('repository', name, 'SHA256SUMS'))) };
  fs.writeFileSync(file, `${JSON.stringify({ ...record, sha256: digestOf(JSON.stringify(record)) }, null, 2)}\n`);
}

/** Read through to its end by all who read it. */
function snapshotFile(file: string): Kind {
  const name = writeSnapshot(repository(), path('source'));
  const request: PreviewRequest = { root: folder(), destination: path('target'), repositoryRoot: folder(), repository: path('repository'), snapshot: name, paths: [], overwrite: 'always', withOwners: false };
  const readers = [
    () => expect(JSON.stringify(planCheck({ repository: path('repository'), snapshot: name, share: null }, new TransferControl()))).not.toContain(SECRET),
    () => [...previewRestore(request)],
    () => [...openSnapshot(path('repository'), name).entries()],
  ];
  const read = (): void => {
    const findings = readers.flatMap((each) => {
      try {
        each();
        return [];
      } catch (error) {
        if (error instanceof StorageError) return [error];
        throw error;
      }
    });
    if (findings[0] !== undefined) throw findings[0];
  };
  return { file: path('repository', name, file), read, vouch: () => vouchFor(name) };
}

const fuzzed: Readonly<Record<string, () => Kind>> = {
  ...Object.fromEntries(Object.entries(kinds).map(([name, { prepare }]) => [name, prepare])),
  'the metadata of a snapshot': () => snapshotFile('metadata.ndjson'),
  'the sums of a snapshot': () => snapshotFile('SHA256SUMS'),
};

test.each(Object.keys(fuzzed))('%s, changed in any way, is read or found wrong: never an error of another kind, never quoted, never endless', (name) => {
  const seed = chooseSeed();
  const random = new SeededRandom(seed);
  const { file, read, vouch } = (fuzzed[name] as () => Kind)();
  const bytes = fs.readFileSync(file);
  const values = valuesIn(bytes.toString('utf8'));
  const mutator = new Mutator(random, values ?? [], [SECRET, `/${SECRET}`, '../outside', '/etc/passwd', 'a'.repeat(64), '4777']);
  for (let round = 0; round < FUZZED / Object.keys(fuzzed).length; round += 1) {
    const changed = changedFile(bytes, values, mutator, random);
    fs.writeFileSync(file, changed);
    vouch?.();
    const startedMs = performance.now();
    try {
      read();
    } catch (error) {
      const where = `${describeSeed(seed)}, round ${round}: ${changed.toString('latin1').slice(0, 500)}`;
      if (!(error instanceof StorageError)) throw new Error(where, { cause: error });
      if (error.message.includes(SECRET) && changed.includes(SECRET)) throw new Error(`${where} is quoted in: ${error.message}`);
    }
    expect(performance.now() - startedMs).toBeLessThan(MOST_MS);
  }
}, 600_000);
