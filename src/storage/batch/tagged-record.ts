import { parseOwn, readOwnFile, type OwnRecord } from '../records/own-file';
import { optional, text, type Shape } from '../records/shape';
import { join } from 'node:path';
import { runDirectory, type RunLocation } from './run-directory';
import { alteredRun, isTag, tagOf } from './run-proof';

const MAX_BYTES = 16 * 1024 * 1024;
const tagShape = optional(text(64, /^[0-9a-f]{64}$/));

/** A record of a run as it is written: with a tag as its last field, in a run that has a proof. */
export function taggedRecord(location: RunLocation, name: string, record: object): object {
  return location.proof === undefined ? record : { ...record, tag: tagOf(location.proof, name, JSON.stringify(record)) };
}

/**
 * A record that ends a run, by its name in the run's directory; undefined when there is none. In a run that has a proof
 * somebody else's would end it before its time, with the figures of his choice.
 * @throws StorageError `RunAltered`, errno names
 */
export function readTaggedRecord<T extends object>(location: RunLocation, name: string, shape: Shape<T>): T | undefined {
  const path = join(runDirectory(location), name);
  const refuse: OwnRecord<T>['refuse'] = alteredRun;
  const data = readOwnFile(path, { side: 'destination', maxBytes: MAX_BYTES, refuse });
  if (data === undefined) return undefined;
  const tagged: Shape<T & { readonly tag?: string }> = (value) => {
    const { tag, ...record } = (value ?? {}) as { readonly tag?: unknown };
    return tagShape(tag) === undefined ? shape(record) : 'tag';
  };
  const { tag = '', ...record } = parseOwn(data.toString('utf8'), tagged, (why) => refuse(path, why));
  if (location.proof !== undefined && !isTag(tag, tagOf(location.proof, name, JSON.stringify(record)))) throw alteredRun(path, 'has another tag');
  return record as unknown as T;
}
