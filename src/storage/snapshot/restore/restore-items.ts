import { StorageError } from '../../errors';
import { fromJsonPath, type PathBytes } from '../../path-bytes';
import type { FileEntry, PresentEntry } from '../entry';
import { isBelowKey, orderKey, ROOT_KEY } from '../entry-order';
import type { OpenSnapshot, ReadEntry } from '../metadata';
import type { Attributes } from './attributes';
import { KeySet } from './key-set';
import type { RestoreSelection, SkipReason } from './request';
import type { FileItem, HardLinkItem, RestoreItem } from './restore-item';

/** Directly below its target a restore keeps its own files. */
const OWN_KEY = `${ROOT_KEY}.file-backup`;

const skippedTypes: Partial<Record<string, SkipReason>> = { socket: 'socket', blockDevice: 'device', characterDevice: 'device' };

/**
 * The entries of a snapshot that are wanted, in their order, as a stream: those of the paths with everything below them,
 * and the directories that lead there.
 * All of the snapshot when there are no paths.
 * @throws StorageError `InvalidInput` for a path that is not in the snapshot, `SnapshotDamaged`
 */
export function* restoreItems(snapshot: OpenSnapshot, { paths, withOwners }: Pick<RestoreSelection, 'paths' | 'withOwners'>): Generator<RestoreItem> {
  const wanted = new KeySet(paths.length === 0 ? ['/'] : paths.map(checkedPath));
  const sources = new KeySet(snapshot.record.sources);
  const links = new HardLinks(wanted, withOwners);
  for (const read of snapshot.entries()) {
    const isDirectory = read.entry.type === 'directory';
    const isWanted = wanted.has(read.key);
    if (!isWanted && !(isDirectory && wanted.leadsTo(read.key))) continue;
    const item = itemOf(read, isDirectory && isWanted && sources.has(read.key), links, withOwners);
    yield item.type === 'skipped' && paths.length > 0 && wanted.names(read.key) ? { ...item, isNamed: true } : item;
  }
  const [missing] = paths.length === 0 ? [] : wanted.unmatched();
  if (missing !== undefined) throw new StorageError('InvalidInput', 'source', missing, `${missing} is not in snapshot ${snapshot.name}`);
}

function checkedPath(path: string): string {
  if (path === '/' || (path.startsWith('/') && path.slice(1).split('/').every((name) => name !== '' && name !== '.' && name !== '..'))) return path;
  throw new StorageError('InvalidInput', 'source', path, `${JSON.stringify(path)} is no absolute path of an entry`);
}

function itemOf({ path, key, entry }: ReadEntry, isDue: boolean, links: HardLinks, withOwners: boolean): RestoreItem {
  const skipped = (reason: SkipReason): RestoreItem => ({ type: 'skipped', path, entryType: entry.type, reason });
  if (key === OWN_KEY || isBelowKey(OWN_KEY, key)) return skipped('reserved');
  if (entry.state === 'failed') return skipped('notInSnapshot');
  const attributes = attributesOf(entry, withOwners);
  switch (entry.type) {
    case 'file':
      return links.itemOf(path, key, entry);
    case 'directory':
      return { type: 'directory', path, attributes, isDue };
    case 'symlink':
      return { type: 'symlink', path, attributes, linkTarget: fromJsonPath(entry.linkTarget) };
    case 'fifo':
      return { type: 'fifo', path, attributes };
    default:
      return skipped(skippedTypes[entry.type] ?? 'device');
  }
}

function attributesOf({ mode, uid, gid, mtimeNs }: PresentEntry, withOwners: boolean): Attributes {
  return { mode, uid, gid, mtimeNs, withOwners };
}

/** Tells first names of files from further ones. Of names whose first one is not wanted, the next one takes its place. */
class HardLinks {
  private readonly substitutes = new Map<string, PathBytes>();

  constructor(
    private readonly wanted: KeySet,
    private readonly withOwners: boolean,
  ) {}

  itemOf(path: PathBytes, key: string, entry: FileEntry): FileItem | HardLinkItem {
    const { sizeBytes, sha256, hardLink } = entry;
    const content = { path, attributes: attributesOf(entry, this.withOwners), sizeBytes, sha256 };
    const first = hardLink === undefined ? undefined : this.firstOf(fromJsonPath(hardLink), path, key);
    return first === undefined ? { type: 'file', ...content } : { type: 'hardLink', ...content, first };
  }

  private firstOf(named: PathBytes, path: PathBytes, key: string): PathBytes | undefined {
    const namedKey = orderKey(named);
    if (namedKey < key && this.wanted.has(namedKey)) return named;
    const substitute = this.substitutes.get(namedKey);
    if (substitute === undefined) this.substitutes.set(namedKey, path);
    return substitute;
  }
}
