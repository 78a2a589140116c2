import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { copyInto, type Copied, type OnSourceChanged } from './copy';
import { inParent, type OpenDirectory } from './directory';
import { blaming, StorageError } from './errors';
import { fileStat, lstatIfPresent, type FileStat } from './file-stat';
import { requireReplaceable } from './inspect-file';
import { createParents } from './parents';
import { withSource } from './source';
import { requireDestination, type DirectoryIdentity } from './staging';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export interface WriteRequest {
  readonly root: string;
  readonly targetPath: string;
  readonly destination: DirectoryIdentity;
  readonly missingDirectories: readonly string[];
  readonly sourceRoot: string;
  readonly sourcePath: string;
  readonly onSourceChanged: OnSourceChanged;
}

/**
 * `atomic: false`: copies straight into the target. Outside the guarantees: readers see it half written, a failure
 * leaves it so, and there is no undo. Still synced, and still compared when verification is on.
 * @throws StorageError `SourceChanged`, `SameFile`, `TargetInvalid`, `DestinationGone`, `Cancelled`, errno names
 */
export function writeTarget(request: WriteRequest, control: TransferControl): Copied {
  const { root, targetPath, sourceRoot, sourcePath, onSourceChanged } = request;
  requireDestination(request.destination);
  createParents(root, request.missingDirectories);
  return inParent(root, targetPath, 'destination', (parent, name) =>
    withSource(sourceRoot, sourcePath, (source) => {
      const target = openTarget(parent, parent.entry(name), targetPath, fileStat(source.stats));
      try {
        const { copied } = copyInto(target, source, { sourcePath, targetPath, onSourceChanged, control, sync: true });
        parent.sync();
        return copied;
      } finally {
        fs.closeSync(target);
      }
    }),
  );
}

/** Emptied only when it is known to be no other file than it should be; closed to others while it is written. */
function openTarget(parent: OpenDirectory, path: string, targetPath: string, source: FileStat): number {
  return blaming('destination', targetPath, () => {
    const stats = lstatIfPresent(path);
    if (stats !== undefined) requireReplaceable(stats, targetPath);
    // A new one is made exclusively: in a directory that all may write to, somebody could have made it meanwhile.
    const descriptor = fs.openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | (stats === undefined ? O_CREAT | O_EXCL : 0), 0o600);
    try {
      const opened = requireReplaceable(fs.fstatSync(descriptor, { bigint: true }), targetPath);
      parent.requireOwnEntry(opened, targetPath);
      if (opened.device === source.device && opened.inode === source.inode) throw new StorageError('SameFile', 'destination', targetPath, `Target ${targetPath} is the source itself`);
      fs.fchmodSync(descriptor, 0o600);
      fs.ftruncateSync(descriptor);
      return descriptor;
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  });
}
