import { dirname } from 'node:path';
import { requireRoom } from '../../batch/room';
import { TransferControl } from '../../control';
import { blaming, StorageError } from '../../errors';
import { isSameInode, lstatIfPresent } from '../../file-stat';
import { refuseInsideRepository } from '../../inside-repository';
import { pathText, type PathBytes } from '../../path-bytes';
import type { EntryType } from '../entry';
import { areRightsLeftOut, hasAttributes } from './attributes';
import { chooseHolder } from './choose-holder';
import { decide, requireKind, type ContentItem, type Found } from './decide';
import { openWanted } from './open-source';
import { outsideRepositories } from './outside-repositories';
import { skipTexts, type RestoreSelection } from './request';
import type { DirectoryItem, RestoreItem } from './restore-item';
import { restoreItems } from './restore-items';
import { holesOf, RestoreNeeds } from './restore-needs';
import { StagingPlaces } from './staging-places';
import { TargetFinder, targetOf } from './target-finder';
import { requireReplaceable, requireSettable } from './writable';

/** What a restore would do: `kept` is left because nothing is to be overwritten, `conflict` would fail. */
export type PreviewAction = 'restored' | 'unchanged' | 'kept' | 'conflict' | 'skipped';

export interface PreviewedEntry {
  readonly path: PathBytes;
  readonly type: EntryType | 'hardLink';
  readonly action: PreviewAction;
  /** Of files; 0 of everything else. */
  readonly sizeBytes: number;
  /** Why it is skipped, or what is in its way. */
  readonly reason?: string;
  /** Its recorded owner, or set-user-id, set-group-id and sticky bits, would be left out. */
  readonly areRightsLeftOut: boolean;
}

export interface PreviewRequest extends RestoreSelection {
  /** Allowed root that holds the destination. */
  readonly root: string;
  readonly destination: string;
}

/**
 * Says for each entry of a snapshot what a restore would do, as a stream and by the same rules. Writes nothing; what is
 * compared by content is read.
 * @throws StorageError `TargetInsideRepository`, and as `planRestore`
 */
export function* previewRestore(request: PreviewRequest, control = new TransferControl()): Generator<PreviewedEntry> {
  refuseInsideRepository(request.destination);
  const { holder, refusal } = lookForHolder(request);
  const finder = new TargetFinder(request);
  const needs = new RestoreNeeds();
  let holesBytes = 0;
  const places = new StagingPlaces(request, lstatIfPresent(holder) === undefined ? undefined : holder);
  try {
    const snapshot = openWanted(request);
    for (const item of outsideRepositories(restoreItems(snapshot, request), request.destination)) {
      control.throwIfCancelled();
      const previewed = previewOf(item, request, { finder, places, control, refusal });
      if (previewed?.action === 'restored') {
        const found = finder.find(item.path);
        needs.add(item, found, places.find(item, finder) ?? nearest(request.destination));
        if (item.type === 'file') holesBytes += holesOf(item, { ...request, snapshot: snapshot.name });
      }
      if (previewed !== undefined) yield previewed;
    }
    requireRoom(needs.list(), () => ({ bytes: holesBytes, files: 0 }));
  } finally {
    finder.close();
    places.close();
  }
}

interface Holder {
  readonly holder: string;
  /** Why the run itself would end before it restored anything. */
  readonly refusal?: StorageError;
}

/** To look at what would be restored to where somebody else may write is no offence: each entry says that it would fail. */
function lookForHolder(request: PreviewRequest): Holder {
  try {
    return { holder: chooseHolder(request) ?? request.destination };
  } catch (error) {
    if (error instanceof StorageError && error.code === 'DestinationNotTrusted') return { holder: request.destination, refusal: error };
    throw error;
  }
}

/** Where a destination that is not there will be made. */
function nearest(destination: string): string {
  return lstatIfPresent(destination) === undefined ? nearest(dirname(destination)) : destination;
}

interface Looking {
  readonly finder: TargetFinder;
  readonly places: StagingPlaces;
  readonly control: TransferControl;
  readonly refusal: StorageError | undefined;
}

function previewOf(item: RestoreItem, request: PreviewRequest, looking: Looking): PreviewedEntry | undefined {
  const { path } = item;
  if (item.type === 'skipped') return { path, type: item.entryType, action: item.isNamed === true ? 'conflict' : 'skipped', sizeBytes: 0, reason: skipTexts[item.reason], areRightsLeftOut: false };
  const entry = { path, type: item.type, sizeBytes: 'sizeBytes' in item ? item.sizeBytes : 0, areRightsLeftOut: areRightsLeftOut(item) };
  try {
    const action = item.type === 'directory' ? actionOnDirectory(item, request, looking) : actionOn(item, request, looking);
    if (action === 'restored') requireRights(item, request, looking);
    return action && { ...entry, action };
  } catch (error) {
    if (!(error instanceof StorageError) || error.code === 'Cancelled') throw error;
    return { ...entry, action: 'conflict', reason: error.message };
  }
}

/** Undefined of directories that are not spoken of: those that only lead somewhere, and the destination itself. */
function actionOnDirectory(item: DirectoryItem, request: PreviewRequest, { finder }: Looking): PreviewAction | undefined {
  if (item.path.length === 1) return undefined;
  const found = finder.find(item.path);
  if (found === undefined) return 'restored';
  requireKind(found.stats, 'directory', pathText(targetOf(request, item.path)));
  if (!item.isDue) return undefined;
  if (request.overwrite === 'never') return 'kept';
  return hasAttributes(found.stats, item.attributes) ? 'unchanged' : 'restored';
}

/** What the run asks before it writes. */
function requireRights({ type, path }: RestoreItem, request: PreviewRequest, { finder, places, refusal }: Looking): void {
  if (refusal !== undefined) throw refusal;
  const found = finder.find(path);
  const holder = finder.holderOf(path);
  if (type === 'directory' && found !== undefined) {
    holder?.requireTrust();
    return requireSettable(found, pathText(targetOf(request, path)));
  }
  if (holder === undefined) return;
  places.of(holder);
  if (found !== undefined) requireReplaceable(holder, found.stats);
}

const actions = { create: 'restored', replace: 'restored', unchanged: 'unchanged', keep: 'kept' } as const;

function actionOn(item: ContentItem, request: PreviewRequest, looking: Looking): PreviewAction {
  const found = looking.finder.find(item.path);
  if (found !== undefined && item.type === 'hardLink' && isLinked(item.first, found, looking)) return 'unchanged';
  const target = pathText(targetOf(request, item.path));
  const action = actions[blaming('destination', target, () => decide(item, found, request.overwrite, target, looking.control))];
  // As recorded, but for being a file of its own.
  return item.type === 'hardLink' && action === 'unchanged' && request.overwrite === 'always' ? 'restored' : action;
}

function isLinked(first: PathBytes, found: Found, { finder }: Looking): boolean {
  const other = finder.find(first);
  return other !== undefined && isSameInode(other.stats, found.stats);
}
