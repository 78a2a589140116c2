import * as fs from 'node:fs';
import type { TransferControl } from './control';
import { inParent } from './directory';
import { blaming } from './errors';
import { lstatIfPresent } from './file-stat';
import { digest, readBack, type ReadBack } from './read-back';
import { withSource } from './source';
import { requireDestination, type StagingLocation } from './staging';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/**
 * Work that is ahead of history: a server that lost its last moments asks for steps that were done and finalized
 * already, so staging is gone and the target is finished. Adopted only when the target holds exactly what the source
 * holds now, and made durable again, since nobody knows whether it was.
 * @returns undefined when the target is anything else
 */
export function adoptTarget(location: StagingLocation, sourceRoot: string, sourcePath: string, control: TransferControl): ReadBack | undefined {
  requireDestination(location.destination);
  const source = withSource(sourceRoot, sourcePath, ({ descriptor }) => blaming('source', sourcePath, () => digest(descriptor, 'cache', control)));
  return inParent(location.root, location.targetPath, 'destination', (parent, name) => {
    const target = targetContent(parent.entry(name), location.targetPath, control);
    if (target?.sha256 !== source.sha256) return undefined;
    blaming('destination', location.targetPath, () => syncFile(parent.entry(name)));
    parent.sync();
    return target;
  });
}

function targetContent(path: string, targetPath: string, control: TransferControl): ReadBack | undefined {
  return blaming('destination', targetPath, () => {
    if (lstatIfPresent(path)?.isFile() !== true) return undefined;
    return readBack(path, 'device', control);
  });
}

function syncFile(path: string): void {
  const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
