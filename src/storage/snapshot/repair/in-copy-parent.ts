import { join } from 'node:path';
import { OpenDirectory, using } from '../../directory';
import { pathText, splitPath, type PathBytes } from '../../path-bytes';
import { componentsBelow } from '../../way';

/**
 * Opens the directory that holds a copy in a snapshot, and hands it over with the copy's name. Copies keep the owners of
 * their sources, and so do the directories among them: where the snapshot itself is closed to others, as it is made, that
 * lets nobody in.
 * @param path of the copy, absolute
 * @throws StorageError `DestinationNotTrusted`, `TargetNotCanonical`, errno names
 */
export function inCopyParent<T>(repository: string, path: PathBytes, calls: (parent: OpenDirectory, name: PathBytes) => T): T {
  const { directory, name } = splitPath(path);
  const [snapshot = ''] = componentsBelow(repository, directory);
  return using(OpenDirectory.open(repository, join(repository, pathText(snapshot)), 'destination').closedToOthers(), (opened) =>
    using(opened.lookBelow(directory).trusted(), (parent) => calls(parent, name)),
  );
}
