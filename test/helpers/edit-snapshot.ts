import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { SnapshotEntry } from '../../src/storage/snapshot/entry';
import { readRecord, recordText } from '../../src/storage/snapshot/snapshot-record';

/** Changes the entries of a published snapshot as if it had been written so: all digests agree. */
export function editEntries(repository: string, name: string, edit: (entry: SnapshotEntry) => SnapshotEntry): void {
  const file = join(repository, name, 'metadata.ndjson');
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  const metadata = lines.map((line) => `${JSON.stringify(edit(JSON.parse(line) as SnapshotEntry))}\n`).join('');
  fs.writeFileSync(file, metadata);
  const record = { ...readRecord(repository, name), metadataSha256: createHash('sha256').update(metadata).digest('hex') };
  fs.writeFileSync(join(repository, name, 'snapshot.json'), recordText(record));
}

/** The entry as one that could not be backed up. */
export function failed(entry: SnapshotEntry, code = 'EACCES'): SnapshotEntry {
  return { path: entry.path, type: entry.type, state: 'failed', failure: { code, side: 'source', message: 'it may not be read' } };
}
