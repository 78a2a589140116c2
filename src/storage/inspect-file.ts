import * as fs from 'node:fs';
import { basename, dirname } from 'node:path';
import { OpenDirectory } from './directory';
import { blaming, isErrno, StorageError } from './errors';
import { fileStat, isSameInode, kindOf, lstatIfPresent, spaceBytes, type FileStat } from './file-stat';
import { refuseInsideRepository } from './inside-repository';
import { missingParents } from './parents';
import { withSource } from './source';
import { identityOf, type DirectoryIdentity } from './staging';

const MAX_NAME_BYTES = 255;

export interface FilePair {
  readonly sourceRoot: string;
  readonly sourcePath: string;
  readonly targetRoot: string;
  readonly targetPath: string;
}

export interface Inspected {
  readonly source: FileStat;
  /** Deepest existing directory on the way to the target. */
  readonly destination: DirectoryIdentity;
  /** Parents of the target that have to be created, nearest to the root first. */
  readonly missingDirectories: readonly string[];
}

/**
 * Looks at both ends and refuses the impossible before anything is created.
 * @throws StorageError `SameFile`, `SourceNotRegularFile`, `TargetInvalid`, `TargetNotCanonical`, `TargetInsideRepository`, `DestinationGone`,
 *   `NoSpace`, errno names
 */
export function inspectFile(pair: FilePair): Inspected {
  refuseSameFile(pair);
  refuseLongNames(pair.targetPath);
  refuseInsideRepository(dirname(pair.targetPath));
  const stats = withSource(pair.sourceRoot, pair.sourcePath, (source) => source.stats);
  requireRoot(pair.targetRoot);
  const missingDirectories = missingParents(pair.targetRoot, pair.targetPath);
  const existing = dirname(missingDirectories[0] ?? pair.targetPath);
  const destination = inspectDestination(pair.targetRoot, existing);
  if (missingDirectories.length === 0) inspectTarget(pair.targetPath);
  refuseFullDisk(existing, pair.targetPath, spaceBytes(stats));
  return { source: fileStat(stats), destination, missingDirectories };
}

/** Same inode, by name or through links of any kind. */
function refuseSameFile({ sourcePath, targetPath }: FilePair): void {
  const source = statIfReachable(sourcePath);
  const target = statIfReachable(targetPath);
  if (source === undefined || target === undefined || !isSameInode(source, target)) return;
  throw new StorageError('SameFile', 'destination', targetPath, `Source ${sourcePath} and target ${targetPath} are the same file`);
}

/** Follows links; whatever cannot be reached is judged by the steps that open it properly. */
function statIfReachable(path: string): fs.BigIntStats | undefined {
  try {
    return fs.statSync(path, { bigint: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw blaming('destination', path, (): Error => {
      throw error;
    });
  }
}

function requireRoot(root: string): void {
  const stats = blaming('destination', root, () => lstatIfPresent(root));
  if (stats?.isDirectory() === true) return;
  throw new StorageError('DestinationGone', 'destination', root, `Destination root ${root} is not there`);
}

function inspectDestination(root: string, path: string): DirectoryIdentity {
  const directory = OpenDirectory.open(root, path, 'destination');
  try {
    return identityOf(path, directory.stat());
  } finally {
    directory.close();
  }
}

function inspectTarget(targetPath: string): void {
  const stats = blaming('destination', targetPath, () => lstatIfPresent(targetPath));
  if (stats !== undefined) requireReplaceable(stats, targetPath);
}

/** @throws StorageError unless the existing target is a regular file */
export function requireReplaceable(stats: fs.BigIntStats, targetPath: string): FileStat {
  if (stats.isFile()) return fileStat(stats);
  if (stats.isSymbolicLink()) {
    const found = fs.readlinkSync(targetPath);
    throw new StorageError('TargetNotCanonical', 'destination', targetPath, `Target ${targetPath} is a symbolic link to ${found}`, { found });
  }
  throw new StorageError('TargetInvalid', 'destination', targetPath, `Target ${targetPath} is ${kindOf(stats)}`, { found: kindOf(stats) });
}

function refuseLongNames(targetPath: string): void {
  const long = targetPath.split('/').find((name) => Buffer.byteLength(name) > MAX_NAME_BYTES);
  if (long === undefined) return;
  const where = long === basename(targetPath) ? 'Its name' : 'A parent\'s name';
  throw new StorageError('TargetInvalid', 'destination', targetPath, `Target ${targetPath} cannot be: ${where} has ${Buffer.byteLength(long)} bytes, ${MAX_NAME_BYTES} are possible`);
}

function refuseFullDisk(directory: string, targetPath: string, sizeBytes: number): void {
  const { bavail, bsize, blocks } = blaming('destination', directory, () => fs.statfsSync(directory, { bigint: true }));
  const freeBytes = Number(bavail * bsize);
  // Some file systems, as a tmpfs without a limit, do not say how large they are.
  if (blocks === 0n || sizeBytes <= freeBytes) return;
  throw new StorageError('NoSpace', 'destination', targetPath, `Destination of ${targetPath} has ${freeBytes} bytes free, ${sizeBytes} are needed`, {
    expected: String(sizeBytes),
    found: String(freeBytes),
  });
}
