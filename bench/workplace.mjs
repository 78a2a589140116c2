import { mkdirSync, mkdtempSync, realpathSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

/** Left free on the disk whatever happens. */
const SPARE_BYTES = 6 * 1024 ** 3;

/**
 * The folder that holds everything. Nothing in it is deleted before the end: file systems create files several times
 * more slowly for a while after many were deleted, which would be charged to whoever comes next.
 */
export function openWorkplace(parent) {
  mkdirSync(parent, { recursive: true });
  const directory = realpathSync(mkdtempSync(join(parent, 'file-backup-bench-')));
  const owned = [];
  let isClosing = false;
  const folder = (name) => {
    // What was under way when the run was interrupted goes on for a moment.
    if (isClosing) throw new Error('The benchmark is ending');
    const path = join(directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  return {
    directory,
    folder,
    sources: folder('sources'),
    destinations: folder('destinations'),
    hasRoomFor: (bytes) => freeBytes(directory) - bytes > SPARE_BYTES,
    /** What must be stopped before the folder can go, in whatever way the run ends; the answer stops it at once, and once. */
    owns(stop) {
      let stopped;
      const once = () => (stopped ??= stop());
      owned.unshift(once);
      return once;
    },
    async remove() {
      isClosing = true;
      for (const stop of owned) await stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function freeBytes(directory) {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}
