import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { snapshotNames } from '../../src/storage/snapshot/snapshot-record';
import type { SnapshotRequest } from '../../src/snapshot-models';
import type { Around, Harness } from './backup-harness';
import { until } from './target-state';

type Place = Pick<Harness, 'path'>;

/** What tests of snapshots have in common: a repository and one source in a place's folder. */
export function repositoryOf(place: Place): string {
  return place.path('repository');
}

export function sourceOf(place: Place, ...names: string[]): string {
  return place.path('source', ...names);
}

/** Makes the repository, and files of different content in directories of the source. */
export function makeRepository(place: Place, files: readonly string[] = []): void {
  initRepository(repositoryOf(place));
  mkdirSync(sourceOf(place), { recursive: true });
  for (const name of files) writeSource(place, name, `content of ${name} `.repeat(20));
}

export function writeSource(place: Place, name: string, content: string): void {
  mkdirSync(dirname(sourceOf(place, name)), { recursive: true });
  writeFileSync(sourceOf(place, name), content);
}

export function requestOf(place: Place, request: Partial<SnapshotRequest> = {}): SnapshotRequest {
  return { sources: [sourceOf(place)], repository: repositoryOf(place), host: 'test-host', retryDelayMs: 100, verifyFrom: 'cache', ...request };
}

export function published(place: Place): string[] {
  return snapshotNames(repositoryOf(place));
}

/** Names of snapshots count seconds: those of one second are in no order. */
export function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000);
  return until('another second has begun', () => Math.floor(Date.now() / 1000) > second);
}

/** What is in the repository of snapshots that are not published. */
export function incoming(place: Place): string[] {
  return readdirSync(join(repositoryOf(place), '.file-backup', 'incoming'));
}

/** Where a snapshot has its copy of a source. */
export function copyOf(place: Place, snapshot: string | null, source = sourceOf(place)): string {
  return join(repositoryOf(place), snapshot ?? 'none', 'data', source);
}

/** Files that are so long when they are planned that each gets a chunk of its own, and short when they are copied. */
export class LongFiles {
  private paths: string[] = [];

  /** Makes them short again after the step that plans. */
  around(inner: Around = (_step, _attempt, next) => next()): Around {
    return async (step, attempt, next) => {
      const result = await inner(step, attempt, next);
      if (step === 'planSnapshot') for (const path of this.paths.splice(0)) writeFileSync(path, `short content of ${path}`);
      return result;
    };
  }

  make(place: Place, count: number): void {
    this.paths = Array.from({ length: count }, (_, index) => sourceOf(place, `long-${String(index).padStart(3, '0')}`));
    for (const path of this.paths) {
      writeFileSync(path, '');
      truncateSync(path, 200 * 1024 * 1024);
    }
  }
}
