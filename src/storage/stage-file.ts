import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { copyInto, type Copied, type OnSourceChanged } from './copy';
import { blaming } from './errors';
import { withSource } from './source';
import { inStaging, requireEntryName, unlinkIfPresent, type StagingLocation } from './staging';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

export interface StageRequest {
  readonly location: StagingLocation;
  readonly sourceRoot: string;
  readonly sourcePath: string;
  readonly onSourceChanged: OnSourceChanged;
  /** Names the staged file with the attempt that made it; the target's own name may be 255 bytes long. */
  readonly attemptName: string;
  /** A staged file that did not verify and is replaced by this one. */
  readonly replaces: string | null;
}

/** A copied, synced and not yet visible file. */
export interface StagedFile extends Copied {
  readonly name: string;
  /** Tells at publication whether it is this very file still. */
  readonly inode: string;
}

/**
 * Copies the source into a new file of the staging directory, readable by its owner alone until it has the source's
 * mode. Attempts may overlap: each writes a file of its own, and removes it again when it fails.
 * @throws StorageError `SourceChanged`, `StagingRevoked`, `DestinationGone`, `Cancelled`, errno names
 */
export function stageFile(request: StageRequest, control: TransferControl): StagedFile {
  const { location, sourceRoot, sourcePath, onSourceChanged } = request;
  return inStaging(location, (staging) =>
    withSource(sourceRoot, sourcePath, (source) => {
      if (request.replaces !== null) unlinkIfPresent(staging.entry(requireEntryName(request.replaces, location)));
      const name = `${request.attemptName}-${randomUUID().slice(0, 8)}`;
      const path = staging.entry(name);
      return writing(path, location.targetPath, (target) => {
        const { copied, target: stats } = copyInto(target, source, { sourcePath, targetPath: location.targetPath, onSourceChanged, control, sync: true });
        staging.sync();
        return { name, inode: String(stats.ino), ...copied };
      });
    }),
  );
}

/** Creates a file that nobody else can read for the calls, and removes it again when they throw. */
export function writing<T>(path: string, targetPath: string, calls: (descriptor: number) => T): T {
  const descriptor = blaming('destination', targetPath, () => fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
  let complete = false;
  try {
    const result = calls(descriptor);
    complete = true;
    return result;
  } finally {
    fs.closeSync(descriptor);
    if (!complete) unlinkIfPresent(path);
  }
}
