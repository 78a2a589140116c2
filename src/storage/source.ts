import * as fs from 'node:fs';
import { inParent, type OpenDirectory } from './directory';
import { blaming, StorageError } from './errors';
import { kindOf } from './file-stat';
import type { PathBytes } from './path-bytes';

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;

export interface OpenSource {
  readonly descriptor: number;
  /** The source as it was when it was opened. */
  readonly stats: fs.BigIntStats;
}

/**
 * Opens a source for reading, hands it over and closes it. Never follows a link, never blocks (a FIFO without a writer
 * would hold a thread for ever), never opens a device: the kind is looked at before and after opening.
 * @throws StorageError `SourceNotRegularFile`, `SourceNotCanonical`, errno names
 */
export function withSource<T>(root: string, path: string, calls: (source: OpenSource) => T): T {
  return inParent(root, path, 'source', (parent, name) => withSourceIn(parent, name, path, calls));
}

/** As `withSource`, in a directory that is open already. `path` is for messages. */
export function withSourceIn<T>(parent: OpenDirectory, name: PathBytes, path: string, calls: (source: OpenSource) => T): T {
  const entry = parent.entry(name);
  const descriptor = blaming('source', path, () => {
    refuseOtherKinds(fs.lstatSync(entry, { bigint: true }), path);
    return fs.openSync(entry, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  });
  try {
    const stats = blaming('source', path, () => fs.fstatSync(descriptor, { bigint: true }));
    refuseOtherKinds(stats, path);
    return calls({ descriptor, stats });
  } finally {
    fs.closeSync(descriptor);
  }
}

function refuseOtherKinds(stats: fs.BigIntStats, path: string): void {
  if (stats.isFile()) return;
  throw new StorageError('SourceNotRegularFile', 'source', path, `Source ${path} is ${kindOf(stats)}, not a regular file`, { found: kindOf(stats) });
}
