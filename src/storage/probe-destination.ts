import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { inDirectory } from './directory';
import { unlinkIfPresent } from './entries';
import { blaming, isErrno } from './errors';

/**
 * The cheapest proof that a destination takes data: write a few bytes, sync them, remove them. A root in which this user may
 * write only further down has answered, and the step that asks sees for itself.
 * @throws StorageError errno names
 */
export function probeDestination(root: string): void {
  inDirectory(root, root, 'destination', (directory) =>
    blaming('destination', root, () => {
      const path = directory.entry(`.file-backup-probe-${randomUUID()}`);
      try {
        fs.writeFileSync(path, 'probe', { flag: 'wx', mode: 0o600, flush: true });
      } catch (error) {
        if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
      } finally {
        unlinkIfPresent(path);
      }
    }),
  );
}
