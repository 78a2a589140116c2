import { resolve } from 'node:path';
import { formatBytes } from '../../core/format';
import type { FailureType } from '../../failures';
import { isBelowKey, orderKey } from '../../storage/snapshot/entry-order';
import { openSnapshot, type ReadEntry } from '../../storage/snapshot/metadata';
import { readRepository } from '../../storage/snapshot/repository';
import { findSnapshot } from '../../storage/snapshot/snapshot-record';
import { printStream } from '../../terminal';
import { entryLine, longEntryLine } from '../entry-line';
import { repositoryExitCodeHelp } from '../exit-codes';
import { localCommand } from '../local-command';
import { createOutput, jsonLine } from '../output';
import { canonicalDirectory } from '../paths';

export const lsCommand = localCommand('ls')
  .description('list what is in a snapshot, one entry a line')
  .argument('<repository>', 'directory')
  .argument('[snapshot]', 'latest, a name, or the beginning of an id or name', 'latest')
  .argument('[paths...]', 'only these entries and what is below them')
  .option('-l, --long', 'with mode, owner, size, time and the target of links', false)
  .addHelpText('after', repositoryExitCodeHelp('listed'))
  .action(async (directory, wanted, paths, options) => {
    const repository = canonicalDirectory(directory);
    readRepository(repository);
    const snapshot = openSnapshot(repository, findSnapshot(repository, wanted));
    const asked = new AskedPaths(paths);
    const listed = { entries: 0, files: 0, failed: 0, sizeBytes: 0 };
    const lineOf = ({ entry }: ReadEntry) => options.json ? jsonLine('entry', entry) : (options.long ? longEntryLine(entry) : entryLine(entry));
    const lines = function* (): Generator<string> {
      for (const read of snapshot.entries()) {
        if (!asked.has(read.key)) continue;
        count(listed, read);
        yield lineOf(read);
      }
    };
    if (!(await printStream(lines()))) return;
    const missing = asked.missing();
    if (missing.length > 0) throw new NotInSnapshotError(snapshot.name, missing);
    const output = createOutput(options.json);
    if (output.isJson) output.result('entries', { repository, snapshot: snapshot.name, ...listed }, '');
    else if (options.long) output.note(`${listed.entries} entries, ${listed.files} files, ${formatBytes(listed.sizeBytes)}, ${listed.failed} failed`);
  });

/** What was asked for by name is not there. */
class NotInSnapshotError extends Error {
  override readonly name = 'NotInSnapshotError';
  readonly errorCode = 'SourceNotFound' satisfies FailureType;

  constructor(snapshot: string, missing: readonly string[]) {
    super(`Snapshot ${snapshot} has no ${missing.join(', no ')}`);
  }
}

function count(listed: { entries: number; files: number; failed: number; sizeBytes: number }, { entry }: ReadEntry): void {
  listed.entries += 1;
  if (entry.state === 'failed') listed.failed += 1;
  else if (entry.type === 'file') {
    listed.files += 1;
    listed.sizeBytes += entry.sizeBytes;
  }
}

/** Paths that a person names, and which of them were met. */
class AskedPaths {
  private readonly paths: readonly { readonly path: string; readonly key: string; isMet: boolean }[];

  constructor(paths: readonly string[]) {
    this.paths = paths.map((typed) => ({ path: resolve(typed), key: orderKey(resolve(typed)), isMet: false }));
  }

  /** True for all when none is named. */
  has(key: string): boolean {
    if (this.paths.length === 0) return true;
    let isAsked = false;
    for (const asked of this.paths) {
      if (!isAtOrBelow(asked.key, key)) continue;
      asked.isMet = true;
      isAsked = true;
    }
    return isAsked;
  }

  missing(): string[] {
    return this.paths.filter(({ isMet }) => !isMet).map(({ path }) => path);
  }
}

/** Keys have NUL where paths have a slash; that of the root is a single one. */
function isAtOrBelow(root: string, key: string): boolean {
  return key === root || isBelowKey(root, key);
}
