import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { snapshotName } from '../../src/core/snapshot-name';
import { pathOf, toJsonPath, type PathBytes } from '../../src/storage/path-bytes';
import { setEntryTimes } from '../../src/storage/posix';
import { checksumLine } from '../../src/storage/snapshot/checksum-line';
import { modeText, type SnapshotEntry } from '../../src/storage/snapshot/entry';
import { nameKey } from '../../src/storage/snapshot/entry-order';
import { recordText, type SnapshotRecord } from '../../src/storage/snapshot/snapshot-record';

export interface FixtureOptions {
  readonly startedAt?: Date;
  readonly host?: string;
  readonly tags?: readonly string[];
  readonly status?: SnapshotRecord['status'];
  /** Name of an earlier snapshot: files that it has with the same bytes, mode and time are hard links of its copies. */
  readonly parent?: string;
}

const bytes = (path: PathBytes): Buffer => Buffer.from(path);
const join2 = (directory: Buffer, name: Buffer): Buffer => Buffer.concat([directory, Buffer.from('/'), name]);

/**
 * Writes a published snapshot of a directory by the simplest means, as the format says and without the engine: for tests
 * of what reads snapshots. Answers its name.
 */
export function writeSnapshot(repository: string, source: string, options: FixtureOptions = {}): string {
  const startedAt = options.startedAt ?? new Date();
  const runId = randomUUID();
  const name = snapshotName(startedAt.getTime(), runId);
  const directory = join(repository, name);
  fs.mkdirSync(join(directory, 'data'), { recursive: true, mode: 0o700 });
  const entries: SnapshotEntry[] = [];
  const firstNames = new Map<bigint, PathBytes>();
  const dataOf = (path: Buffer): Buffer => Buffer.concat([Buffer.from(join(directory, 'data')), path]);
  const ancestors = source.split('/').slice(1, -1).map((_, index, names) => `/${names.slice(0, index + 1).join('/')}`);

  const visit = (path: Buffer, isAncestor: boolean): void => {
    const stats = fs.lstatSync(path, { bigint: true });
    const attributes = { path: toJsonPath(pathOf(path)), mode: modeText(stats.mode), uid: Number(stats.uid), gid: Number(stats.gid), mtimeNs: String(stats.mtimeNs) };
    if (stats.isDirectory()) {
      entries.push({ ...attributes, type: 'directory', state: 'recorded' });
      fs.mkdirSync(dataOf(path), { recursive: true });
      if (isAncestor) return;
      const names = fs.readdirSync(path, { encoding: 'buffer' }).sort((a, b) => (nameKey(pathOf(a)) < nameKey(pathOf(b)) ? -1 : 1));
      for (const each of names) visit(join2(path, each), false);
      fs.chmodSync(dataOf(path), Number(stats.mode) & 0o777);
      setEntryTimes(dataOf(path), stats.mtimeNs);
    } else if (stats.isSymbolicLink()) {
      const target = fs.readlinkSync(path, { encoding: 'buffer' });
      entries.push({ ...attributes, type: 'symlink', state: 'recorded', linkTarget: toJsonPath(pathOf(target)) });
      fs.symlinkSync(target, dataOf(path));
      setEntryTimes(dataOf(path), stats.mtimeNs);
    } else if (stats.isFile()) {
      const content = fs.readFileSync(path);
      const sha256 = createHash('sha256').update(content).digest('hex');
      const first = stats.nlink > 1n ? firstNames.get(stats.ino) : undefined;
      const old = options.parent === undefined ? undefined : Buffer.concat([Buffer.from(join(repository, options.parent, 'data')), path]);
      const isUnchanged = old !== undefined && isSameFile(old, stats, content);
      if (stats.nlink > 1n && first === undefined) firstNames.set(stats.ino, pathOf(path));
      if (first !== undefined) fs.linkSync(dataOf(bytes(first)), dataOf(path));
      else if (isUnchanged) fs.linkSync(old, dataOf(path));
      else writeCopy(dataOf(path), content, stats);
      entries.push({
        ...attributes,
        type: 'file',
        state: isUnchanged ? 'unchanged' : 'copied',
        sizeBytes: content.length,
        sha256,
        ctimeNs: String(stats.ctimeNs),
        inode: String(stats.ino),
        readAt: startedAt.toISOString(),
        ...(first === undefined ? {} : { hardLink: toJsonPath(first) }),
      });
    } else {
      const type = stats.isFIFO() ? 'fifo' : stats.isSocket() ? 'socket' : stats.isBlockDevice() ? 'blockDevice' : 'characterDevice';
      entries.push({ ...attributes, type, state: 'recorded' });
    }
  };
  for (const each of ['/', ...ancestors]) visit(Buffer.from(each), true);
  visit(Buffer.from(source), false);

  const metadata = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
  const files = entries.filter((entry) => entry.type === 'file' && entry.state !== 'failed');
  const checksums = Buffer.concat(files.map((entry) => checksumLine('sha256' in entry ? entry.sha256 : '', dataPath(entry.path))));
  fs.writeFileSync(join(directory, 'metadata.ndjson'), metadata, { mode: 0o600 });
  if (files.length > 0) fs.writeFileSync(join(directory, 'SHA256SUMS'), checksums, { mode: 0o600 });
  const digest = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
  const count = (isOne: (entry: SnapshotEntry) => boolean): number => entries.filter(isOne).length;
  const sizeBytes = files.reduce((sum, entry) => sum + ('sizeBytes' in entry ? entry.sizeBytes : 0), 0);
  const record: SnapshotRecord = {
    formatVersion: 1,
    name,
    id: name.slice(-8),
    host: options.host ?? 'test-host',
    sources: [source],
    tags: options.tags ?? [],
    startedAt: startedAt.toISOString(),
    endedAt: startedAt.toISOString(),
    status: options.status ?? 'complete',
    parent: options.parent ?? null,
    counts: {
      files: files.length,
      directories: count(({ type }) => type === 'directory'),
      symlinks: count(({ type }) => type === 'symlink'),
      specials: count(({ type }) => !['file', 'directory', 'symlink'].includes(type)),
      newFiles: count(({ state }) => state === 'copied'),
      changedFiles: 0,
      unchangedFiles: count(({ state }) => state === 'unchanged'),
      failed: 0,
      vanished: 0,
      excluded: 0,
      sizeBytes,
      copiedBytes: sizeBytes,
    },
    verifiedFrom: 'cache',
    leftOut: [],
    notKept: [],
    workflowId: 'fixture',
    runId,
    operationId: runId,
    metadata: {},
    programVersion: '0.0.0',
    metadataSha256: digest(metadata),
    checksumsSha256: files.length > 0 ? digest(checksums) : null,
  };
  fs.writeFileSync(join(directory, 'snapshot.json'), recordText(record), { mode: 0o600 });
  return name;
}

function dataPath(path: SnapshotEntry['path']): PathBytes {
  return typeof path === 'string' ? `data${path}` : pathOf(Buffer.concat([Buffer.from('data'), Buffer.from(path.base64, 'base64')]));
}

function isSameFile(old: Buffer, stats: fs.BigIntStats, content: Buffer): boolean {
  const found = fs.lstatSync(old, { bigint: true, throwIfNoEntry: false });
  return found?.isFile() === true && found.mode === stats.mode && found.mtimeNs === stats.mtimeNs && fs.readFileSync(old).equals(content);
}

function writeCopy(path: Buffer, content: Buffer, stats: fs.BigIntStats): void {
  fs.writeFileSync(path, content, { flag: 'wx' });
  fs.chmodSync(path, Number(stats.mode) & 0o777);
  setEntryTimes(path, stats.mtimeNs);
}
