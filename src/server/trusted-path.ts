import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isClosed, isOwned, isTrustedDirectory, rightsText, type Self } from '../core/directory-trust';

const MOST_LINKS = 40;

/** A file, directory or link on the way to a path. */
interface OnTheWay {
  readonly path: string;
  readonly stats: Stats;
}

/**
 * Why somebody else than the running user and root could exchange what an absolute path leads to; undefined when nobody
 * could. What it leads to is judged, and everything on the way there, links and what they lead through included; of what is
 * not there yet, the way that is there.
 * @throws errno names
 */
export function whyNotTrusted(path: string): string | undefined {
  const user = self();
  for (const each of wayTo(path)) {
    if (isTrusted(each.stats, user)) continue;
    const how = isOwned(each.stats, user) ? 'others may write to it' : 'it belongs to another user';
    return `${each.path} has owner and mode ${rightsText(each.stats)}: ${how}`;
  }
  return undefined;
}

/** The user whose rights count for this process. */
export function self(): Self {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

function isTrusted(stats: Stats, user: Self): boolean {
  if (stats.isDirectory()) return isTrustedDirectory(stats, user);
  // Nobody can write to a link, and who may exchange it is said by its directory.
  return isOwned(stats, user) && (stats.isSymbolicLink() || isClosed(stats, user));
}

/** As the system walks it. The root directory itself is left out: nobody can exchange it. */
function* wayTo(path: string): Generator<OnTheWay> {
  let reached = '/';
  let links = 0;
  for (let names = partsOf(path); names.length > 0; ) {
    const [name = '', ...others] = names;
    const next = join(reached, name);
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) return;
    names = others;
    if (next !== '/') yield { path: next, stats };
    if (!stats.isSymbolicLink()) {
      reached = next;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) throw new Error(`${path} leads through too many links`);
    const target = readlinkSync(next);
    if (target.startsWith('/')) reached = '/';
    names = [...partsOf(target), ...others];
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
