import { formatBytes, formatDuration } from '../core/format';
import { LEFTOVERS_AFTER_MS, type Leftover } from '../storage/snapshot/leftovers';

const kinds: Readonly<Record<Leftover['kind'], string>> = { snapshot: 'an unfinished snapshot', repair: 'copies of a repair', removed: 'a removed snapshot' };

/** One line of what somebody who was killed has left. */
export function leftoverLine({ path, kind, sizeBytes, changedAt }: Leftover, nowMs: number): string {
  return `${path}: ${kinds[kind]}, ${formatBytes(sizeBytes)}, unchanged for ${formatDuration(Math.max(0, nowMs - Date.parse(changedAt)))}`;
}

/** What becomes of it. */
export const leftoversHelp = `file-backup prune removes what nobody works on after ${LEFTOVERS_AFTER_MS / 86_400_000} days, or as --leftovers says; until then the command that was killed goes on with it`;
