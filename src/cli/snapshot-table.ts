import { formatBytes } from '../core/format';
import { localTime } from '../core/local-time';
import { parseSnapshotName } from '../core/snapshot-name';
import { tableLines, type Cell } from './table';

/** What tables of snapshots show of each; undefined where the record is damaged. */
export interface ShownSnapshot {
  readonly name: string;
  readonly details: { readonly host: string; readonly tags: readonly string[]; readonly sources: readonly string[]; readonly files: number; readonly sizeBytes: number; readonly status: string } | undefined;
}

/** A column that only some tables have. */
export interface ExtraColumn<Shown> {
  readonly head: string;
  readonly lines: (snapshot: Shown) => readonly string[];
}

/** A table as restic prints it, the newest snapshot last; several tags, sources and the like are on lines of their own. */
export function snapshotTable<Shown extends ShownSnapshot>(snapshots: readonly Shown[], extra: readonly ExtraColumn<Shown>[] = []): string[] {
  const head = ['ID', 'Time', 'Host', 'Tags', ...extra.map((column) => column.head), 'Sources', 'Files', 'Size', 'State'];
  return tableLines(head, snapshots.map((snapshot) => cells(snapshot, extra)));
}

function cells<Shown extends ShownSnapshot>(snapshot: Shown, extra: readonly ExtraColumn<Shown>[]): Cell[] {
  const { id, startedAt } = parseSnapshotName(snapshot.name) ?? { id: snapshot.name, startedAt: new Date(NaN) };
  const between = extra.map(({ lines }) => lines(snapshot));
  const { details } = snapshot;
  if (details === undefined) return [id, localTime(startedAt), '', '', ...between, '', '', '', 'damaged'];
  const { host, tags, sources, files, sizeBytes, status } = details;
  return [id, localTime(startedAt), host, tags, ...between, sources, String(files), formatBytes(sizeBytes), status];
}

/** What a person must know of snapshots that only a clock that was wrong can have dated so. */
export function futureNotes(names: readonly string[]): string[] {
  return names.map((name) => `Dated in the future: ${name}: neither parent nor latest, counted for no --keep rule, and never removed by itself`);
}

/** `1 snapshot`, `2 snapshots`. */
export function snapshotCount(count: number): string {
  return `${count} ${count === 1 ? 'snapshot' : 'snapshots'}`;
}
