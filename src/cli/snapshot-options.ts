import type { SnapshotRequest } from '../snapshot-models';
import type { backupCommand } from './backup-options';
import { listedPatterns, typedPatterns } from './exclude-patterns';
import { repeated, wholeNumber } from './options';
import { canonicalDirectory } from './paths';
import { sizeInBytes } from './size';

/** What fields of a snapshot's input are called on the command line. */
export const fieldNames = { sources: 'sources', repository: '--to', host: '--host', tags: '--tag', parent: '--parent', excludes: '--exclude', operationId: '--operation-id', metadata: '--metadata' };

/** Adds the options that say what a snapshot is of, and where it goes. */
export function snapshotOptions(command: ReturnType<typeof backupCommand>) {
  return command
    .requiredOption('--to <repository>', 'repository made by "file-backup init"')
    .option('--exclude <pattern>', 'leave out what matches, as a line of a .gitignore at the top of each source; may be repeated', repeated, [])
    .option('--exclude-file <file>', 'read such patterns from a file; may be repeated', repeated, [])
    .option('--exclude-caches', 'leave out what is in directories with a CACHEDIR.TAG', false)
    .option('-x, --one-file-system', 'stay on the file system of each source', false)
    .option('--max-size <size>', 'leave out larger files, such as 500M', sizeInBytes('--max-size'))
    .option('--allow-missing', 'take the other sources where one is not there; otherwise nothing is copied', false)
    .option('--allow-empty', 'take a source without a file for what it is, also where an earlier snapshot has files of it', false)
    .option('--rehash', 'read every file, also those that look unchanged', false)
    .option('--tag <tag>', 'put a tag on the snapshot; may be repeated', repeated, [])
    .option('--host <name>', 'whose files they are; this host unless given')
    .option('--lanes <number>', 'chunks of files at a time, 1 to 64', wholeNumber('--lanes', 1, 64));
}

/** What `snapshotOptions` has parsed. */
interface SnapshotOptions {
  readonly to: string;
  readonly exclude: string[];
  readonly excludeFile: string[];
  readonly excludeCaches: boolean;
  readonly oneFileSystem: boolean;
  readonly maxSize?: number;
  readonly allowMissing: boolean;
  readonly allowEmpty: boolean;
  readonly rehash: boolean;
  readonly tag: string[];
  readonly host?: string;
  readonly lanes?: number;
}

/** Those patterns of a snapshot's input that were typed, and stand in no file. */
export function typedExcludes(sources: readonly string[], { exclude }: Pick<SnapshotOptions, 'exclude'>): string[] {
  return typedPatterns(exclude, sources);
}

/** The part of a snapshot's input that these options make. */
export function snapshotRequestOf(sources: readonly string[], { to, exclude, excludeFile, excludeCaches, oneFileSystem, maxSize, allowMissing, allowEmpty, rehash, tag, host, lanes }: SnapshotOptions): SnapshotRequest {
  return {
    sources: sources.map(canonicalDirectory),
    repository: canonicalDirectory(to),
    ...(host === undefined ? {} : { host }),
    tags: tag,
    excludes: [...typedPatterns(exclude, sources), ...listedPatterns(excludeFile, sources)],
    ...{ excludeCaches, oneFileSystem, allowMissing, allowEmpty, rehash },
    maxFileSizeBytes: maxSize ?? null,
    ...(lanes === undefined ? {} : { lanes }),
  };
}
