import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { blaming } from './errors';
import { unlinkIfPresent } from './staging';

/** The cheapest proof that a destination takes data: write a few bytes, sync them, remove them. @throws StorageError errno names */
export function probeDestination(root: string): void {
  const path = `${root}/.file-backup-probe-${randomUUID()}`;
  blaming('destination', root, () => {
    try {
      fs.writeFileSync(path, 'probe', { flag: 'wx', mode: 0o600, flush: true });
    } finally {
      unlinkIfPresent(path);
    }
  });
}
