import { isBelow } from '../../core/roots';
import { isBelowKey, orderKey } from './entry-order';
import { openSnapshot } from './metadata';
import { isNoHelp } from './if-helpful';
import type { PlanFailure } from './planned-snapshot';
import { futureFirst, readRecord, snapshotNames } from './snapshot-record';
import type { WalkedSource } from './sources';

/** Fewer than so many files of a source may go away while it is backed up, as long as some stay. */
const MANY_GONE = 20;

/** Sources without a file of which the last snapshot that knows has some: each is a failure, since a disk that is not mounted looks like this. */
export function findEmptied(repository: string, host: string, sources: readonly string[]): PlanFailure[] {
  if (sources.length === 0) return [];
  const names = futureFirst(snapshotNames(repository), Date.now()).reverse();
  return sources.flatMap((path) => {
    const name = names.map((each) => [each, holdsFiles(repository, each, host, path)] as const).find(([, holds]) => holds !== undefined);
    return name?.[1] === true ? [emptied(path, `There is no file in ${path}, and snapshot ${name[0]} has some of it`)] : [];
  });
}

/** Undefined where the snapshot does not say. */
function holdsFiles(repository: string, name: string, host: string, source: string): boolean | undefined {
  try {
    const record = readRecord(repository, name);
    if (record.host !== host || !record.sources.some((each) => isBelow(each, source))) return undefined;
    // Nobody has said since then that it is meant to be empty.
    if (record.emptied?.some(({ path }) => path === source) === true) return true;
    const top = orderKey(source);
    for (const { key, entry } of openSnapshot(repository, name).entries()) {
      if (key === top && entry.state === 'failed') return undefined;
      if (entry.type === 'file' && entry.state !== 'failed' && isBelowKey(top, key)) return true;
      if (key > top && !isBelowKey(top, key)) return false;
    }
    return false;
  } catch (error) {
    if (!isNoHelp(error)) throw error;
    return undefined;
  }
}

/** A source of which most files were gone when their turn came, although what they were in is there. */
export function mostlyGone({ path, files, vanished }: WalkedSource, goneLater: number): PlanFailure[] {
  const [all, gone] = [files + vanished, vanished + goneLater];
  const isEmptied = gone > 0 && (gone === all || (gone >= MANY_GONE && gone > all / 2));
  return isEmptied ? [emptied(path, `Of ${all} files in ${path}, ${gone} were gone when their turn came`)] : [];
}

function emptied(path: string, message: string): PlanFailure {
  return { path, failure: { code: 'SourceEmptied', side: 'source', message } };
}
