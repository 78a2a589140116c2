import { readAllLines, readChunkLines } from '../../batch/read-chunk-lines';
import { alteredRun } from '../../batch/run-proof';
import type { RunLocation } from '../../batch/run-directory';
import { fromJsonPath, type JsonPath } from '../../path-bytes';
import { absoluteBelowRoot, linkTarget, sha256 } from '../../records/fields';
import { parseOwn } from '../../records/own-file';
import { flag, objectOf, oneOf, optional, wholeNumber, type Shape } from '../../records/shape';
import { orderKey } from '../entry-order';
import { entryType } from '../entry-shape';
import { SoundOrder } from '../sound-order';
import { restoredAttributes } from './attributes-shape';
import { skipTexts, type SkipReason } from './request';
import type { DirectoryItem, FifoItem, FileItem, HardLinkItem, SkippedItem, SymlinkItem, TreeItem } from './restore-item';

/** As an item stands in a plan. */
type Written<Item> = Omit<Item, 'path' | 'first' | 'linkTarget'> & { readonly path: JsonPath };

const path = absoluteBelowRoot;
const attributes = restoredAttributes;
const content = { path, attributes, sizeBytes: wholeNumber(), sha256 };

const fileLine = objectOf<Written<FileItem>>({ type: oneOf('file'), ...content });

type TreeLine = Written<TreeItem> & { readonly first?: JsonPath; readonly linkTarget?: JsonPath };

const treeLines: Readonly<Record<TreeItem['type'], Shape<TreeLine>>> = {
  hardLink: objectOf<Written<HardLinkItem> & { readonly first: JsonPath }>({ type: oneOf('hardLink'), ...content, first: path }),
  directory: objectOf<Written<DirectoryItem>>({ type: oneOf('directory'), path, attributes, isDue: flag, isKept: optional(oneOf(true)) }),
  symlink: objectOf<Written<SymlinkItem> & { readonly linkTarget: JsonPath }>({ type: oneOf('symlink'), path, attributes, linkTarget }),
  fifo: objectOf<Written<FifoItem>>({ type: oneOf('fifo'), path, attributes }),
  skipped: objectOf<Written<SkippedItem>>({ type: oneOf('skipped'), path, entryType, reason: oneOf(...(Object.keys(skipTexts) as SkipReason[])), isNamed: optional(oneOf(true)) }),
};

const treeLine: Shape<TreeLine> = (value) => {
  const { type } = (value ?? {}) as Partial<TreeItem>;
  return typeof type === 'string' && Object.hasOwn(treeLines, type) ? treeLines[type](value) : 'type';
};

/** The files of one chunk of a restore's plan. @throws StorageError `RunAltered`, errno names */
export function readFileItems(location: RunLocation, chunk: number): { readonly sizeBytes: number; readonly items: readonly FileItem[] } {
  const { sizeBytes, lines, path: file } = readChunkLines(location, chunk);
  const items = lines.map((json): FileItem => {
    const line = parseOwn(json, fileLine, (why) => alteredRun(file, `${why} in a line`));
    return { ...line, path: fromJsonPath(line.path) };
  });
  return { sizeBytes, items };
}

/**
 * What was planned beside the files, in the snapshot's order.
 * @throws StorageError `RunAltered` also for items out of order or below what is no directory, errno names
 */
export function* treeItems(location: RunLocation): Generator<TreeItem, undefined> {
  const order = new SoundOrder();
  for (const { lines, path: file } of readAllLines(location, 'tree')) {
    for (const json of lines) {
      const item = itemOf(parseOwn(json, treeLine, (why) => alteredRun(file, `${why} in a line`)));
      if (!order.accepts(orderKey(item.path), item.type === 'directory' || item.type === 'skipped')) throw alteredRun(file, 'has entries out of order');
      yield item;
    }
  }
}

function itemOf({ path: written, first, linkTarget: target, ...rest }: TreeLine): TreeItem {
  return {
    ...rest,
    path: fromJsonPath(written),
    ...(first === undefined ? {} : { first: fromJsonPath(first) }),
    ...(target === undefined ? {} : { linkTarget: fromJsonPath(target) }),
  } as TreeItem;
}
