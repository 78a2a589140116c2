import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { ChunkTask } from '../../../src/storage/batch/chunk';
import type { ProvedPlan } from '../../../src/storage/batch/plan-digests';
import type { ChunkReport } from '../../../src/storage/batch/journal';
import { inspectRun, openPlace, openRun, placesBeside, type RunGround, type RunOwner, type RunPlace } from '../../../src/storage/batch/open-run';
import type { RunLocation } from '../../../src/storage/batch/run-directory';
import { TransferControl } from '../../../src/storage/control';
import type { SnapshotEntry } from '../../../src/storage/snapshot/entry';
import { closeRestore } from '../../../src/storage/snapshot/restore/close-restore';
import { finishRestore } from '../../../src/storage/snapshot/restore/finish-restore';
import type { FinishedRestore } from '../../../src/storage/snapshot/restore/finished-restore';
import { planRestore, type PlannedRestore } from '../../../src/storage/snapshot/restore/plan-restore';
import { previewRestore, type PreviewedEntry } from '../../../src/storage/snapshot/restore/preview-restore';
import { inspectRestore } from '../../../src/storage/snapshot/restore/choose-holder';
import type { Overwrite, RestoreRequest, RestoreSettings } from '../../../src/storage/snapshot/restore/request';
import { restoreChunk } from '../../../src/storage/snapshot/restore/restore-chunk';
import { recordText, type SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';
import { pathText } from '../../../src/storage/path-bytes';

export const WORKFLOW_ID = 'restore';
const illness = { codes: { source: [], destination: [] }, space: [], isLast: false, mostFailures: 20 };

export interface RestoreOptions {
  readonly paths?: readonly string[];
  readonly overwrite?: Overwrite;
  readonly snapshot?: string;
  readonly root?: string;
  readonly target?: string;
  readonly withOwners?: boolean;
  readonly control?: TransferControl;
  readonly syncEach?: boolean;
}

/** Storage's side of a restore from `{folder}/repository` to `{folder}/target`, step by step. */
export class Restore {
  location: RunLocation;
  readonly control: TransferControl;
  readonly repository: string;
  private readonly overwrite: Overwrite;
  private ground: RunGround | undefined;
  private planned: PlannedRestore | undefined;
  places: readonly RunPlace[] = [];
  private finished: FinishedRestore | undefined;
  private attempts = 0;

  constructor(
    private readonly folder: string,
    private readonly options: RestoreOptions = {},
  ) {
    this.repository = join(folder, 'repository');
    this.location = { root: options.root ?? folder, destination: options.target ?? join(folder, 'target'), runId: randomUUID() };
    this.overwrite = options.overwrite ?? 'always';
    this.control = options.control ?? new TransferControl();
  }

  get owner(): RunOwner {
    return { clusterId: 'cluster', namespace: 'default', workflowId: WORKFLOW_ID, runId: this.location.runId };
  }

  open(): void {
    if (this.ground === undefined) {
      const { ground, beside } = inspectRestore(this.request);
      this.ground = ground;
      if (beside !== undefined) this.location = { ...this.location, beside };
    }
    openRun({ location: this.location, owner: this.owner, ground: this.ground, needsHardLinks: false });
  }

  plan(): ProvedPlan<PlannedRestore> {
    const planned = planRestore(this.request, this.control);
    this.planned = planned;
    this.places = placesBeside(this.location, (planned.places ?? []).map((beside) => inspectRun({ ...this.location, beside }).destination));
    for (const place of this.places) openPlace({ ...place, owner: this.owner });
    return planned;
  }

  private get request(): RestoreRequest {
    const { location, repository, overwrite, options } = this;
    return { location, repositoryRoot: this.folder, repository, snapshot: options.snapshot ?? 'latest', paths: options.paths ?? [], overwrite, withOwners: options.withOwners ?? false };
  }

  settings(): RestoreSettings {
    const { location, repository, overwrite, planned, folder, ground = inspectRun(this.location) } = this;
    return { location, ground, places: this.places.map((place) => place.location), repositoryRoot: folder, repository, snapshot: planned?.snapshot ?? '', overwrite, verify: 'cache', syncEach: this.options.syncEach ?? true, keepPrevious: false };
  }

  task(chunk = 0): ChunkTask<RestoreSettings> {
    this.attempts += 1;
    return { settings: this.settings(), chunk, attemptName: `${chunk}-${this.attempts}-test-1`, owner: this.owner, illness, pass: 0, only: [] };
  }

  chunk(chunk = 0): ChunkReport {
    return restoreChunk(this.task(chunk), this.control);
  }

  finish(cancelled = false, { control = this.control, syncEach = this.options.syncEach ?? true } = {}): FinishedRestore {
    const { ground, planned } = this;
    if (ground === undefined || planned === undefined) throw new Error('not planned');
    this.finished = finishRestore({ settings: { ...this.settings(), syncEach }, owner: this.owner, ground, chunks: planned.chunks, cancelled }, control);
    return this.finished;
  }

  close(): void {
    const { ground, planned, finished, location } = this;
    if (ground === undefined) throw new Error('not open');
    closeRestore({ location, owner: this.owner, ground, places: this.places, failuresPath: finished?.failuresPath ?? null, rootAttributes: planned?.rootAttributes ?? null });
  }

  /** All steps; what a workflow would answer. */
  run(): FinishedRestore {
    this.open();
    const { chunks } = this.plan();
    for (let chunk = 0; chunk < chunks; chunk += 1) this.chunk(chunk);
    const finished = this.finish();
    this.close();
    return finished;
  }

  groundOfRun(): RunGround {
    if (this.ground === undefined) throw new Error('not open');
    return this.ground;
  }

  /** Path, type, action, and whether rights are left out. */
  preview(): [string, string, string, boolean][] {
    return this.previewEntries().map(({ path, type, action, areRightsLeftOut }) => [pathText(path), type, action, areRightsLeftOut]);
  }

  previewEntries(): PreviewedEntry[] {
    const { location, repository, overwrite, options } = this;
    const request = { root: location.root, destination: location.destination, repositoryRoot: this.folder, repository, snapshot: options.snapshot ?? 'latest', paths: options.paths ?? [], overwrite, withOwners: options.withOwners ?? false };
    return [...previewRestore(request)];
  }
}

/** Writes a snapshot's metadata anew, with right digests, as whoever can write the repository can. */
export function forgeMetadata(repository: string, name: string, forge: (entries: SnapshotEntry[]) => readonly unknown[], record: Partial<SnapshotRecord> = {}): void {
  const metadata = join(repository, name, 'metadata.ndjson');
  const entries = fs.readFileSync(metadata, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as SnapshotEntry);
  const text = forge(entries).map((entry) => `${typeof entry === 'string' ? entry : JSON.stringify(entry)}\n`).join('');
  fs.writeFileSync(metadata, text);
  const path = join(repository, name, 'snapshot.json');
  const old = JSON.parse(fs.readFileSync(path, 'utf8')) as SnapshotRecord & { sha256?: string };
  delete old.sha256;
  fs.writeFileSync(path, recordText({ ...old, ...record, metadataSha256: createHash('sha256').update(text).digest('hex') }));
}
