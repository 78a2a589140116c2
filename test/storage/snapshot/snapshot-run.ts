import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { snapshotName } from '../../../src/core/snapshot-name';
import type { ChunkTask } from '../../../src/storage/batch/chunk';
import type { ProvedPlan } from '../../../src/storage/batch/plan-digests';
import type { ChunkReport } from '../../../src/storage/batch/journal';
import { inspectRun, openRun, type RunOwner } from '../../../src/storage/batch/open-run';
import { runDirectory, type RunLocation } from '../../../src/storage/batch/run-directory';
import { TransferControl } from '../../../src/storage/control';
import { discardSnapshot } from '../../../src/storage/snapshot/discard-snapshot';
import type { ExcludeRules } from '../../../src/storage/snapshot/excludes';
import { openSnapshot, type OpenSnapshot } from '../../../src/storage/snapshot/metadata';
import { planSnapshot } from '../../../src/storage/snapshot/plan-snapshot';
import type { PlannedSnapshot } from '../../../src/storage/snapshot/planned-snapshot';
import { sealSnapshot, type SealedRecord } from '../../../src/storage/snapshot/seal-snapshot';
import { snapshotChunk } from '../../../src/storage/snapshot/snapshot-chunk';
import type { SnapshotRecord } from '../../../src/storage/snapshot/snapshot-record';

const WORKFLOW_ID = 'snapshot';
const illness = { codes: { source: [], destination: [] }, space: [], isLast: false, mostFailures: 1000 };

export interface SnapshotRunOptions {
  readonly host?: string;
  readonly excludes?: Partial<ExcludeRules>;
  readonly oneFileSystem?: boolean;
  readonly rehash?: boolean;
  readonly parent?: string;
  readonly allowMissing?: boolean;
  readonly allowEmpty?: boolean;
  readonly leaveOut?: readonly string[];
  readonly control?: TransferControl;
  readonly syncEach?: boolean;
}

let lastMs = Date.parse('2026-01-01T00:00:00Z');

/** Storage's side of a snapshot, step by step, in this thread. */
export class SnapshotRun {
  readonly location: RunLocation;
  readonly control: TransferControl;
  readonly name: string;
  private readonly startedAt: string;
  private attempts = 0;

  /** @param root holds the repository and the sources */
  constructor(
    private readonly root: string,
    private readonly repository: string,
    private readonly sources: readonly string[],
    private readonly options: SnapshotRunOptions = {},
  ) {
    this.control = options.control ?? new TransferControl();
    const runId = randomUUID();
    // Names of snapshots count seconds, and tests take several in one.
    lastMs += 60_000;
    this.location = { root, destination: repository, runId, area: 'incoming' };
    this.startedAt = new Date(lastMs).toISOString();
    this.name = snapshotName(lastMs, runId);
  }

  private get syncEach(): boolean {
    return this.options.syncEach ?? true;
  }

  get directory(): string {
    return runDirectory(this.location);
  }

  /** Copies of the published snapshot. */
  get data(): string {
    return join(this.repository, this.name, 'data');
  }

  get owner(): RunOwner {
    return { clusterId: 'cluster', namespace: 'default', workflowId: WORKFLOW_ID, runId: this.location.runId };
  }

  plan(): ProvedPlan<PlannedSnapshot> {
    const { location, root, repository, options } = this;
    const { owner } = this;
    openRun({ location, owner, ground: inspectRun(location), needsHardLinks: false });
    const excludes = { patterns: [], caches: false, maxSizeBytes: null, ...options.excludes };
    const sources = this.sources.map((path) => ({ path, root }));
    const { host = 'test-host', oneFileSystem = false, rehash = false, parent = 'auto', allowMissing = false, allowEmpty = false, leaveOut = [repository] } = options;
    return planSnapshot({ location, sources, excludes, host, oneFileSystem, rehash, parent, allowMissing, allowEmpty, leaveOut, syncEach: this.syncEach }, this.control);
  }

  attempt(chunk = 0, pass = 0, only: readonly number[] = []): ChunkTask {
    this.attempts += 1;
    const settings = { location: this.location, sourceRoots: [this.root], verify: 'cache', onSourceChanged: 'fail', keepPrevious: false, syncEach: this.syncEach } as const;
    return { settings, chunk, attemptName: `${chunk}-${this.attempts}-test`, owner: this.owner, illness, pass, only };
  }

  chunk(task = this.attempt()): ChunkReport {
    return snapshotChunk(task, this.control);
  }

  seal(): SealedRecord {
    const { name, startedAt, location } = this;
    const facts = { name, id: name.slice(-8), host: this.options.host ?? 'test-host', tags: [], startedAt, endedAt: startedAt, workflowId: WORKFLOW_ID, runId: location.runId, operationId: location.runId, metadata: {}, programVersion: '0.0.0' };
    return sealSnapshot({ location, owner: this.owner, facts, settings: { sourceRoots: [this.root], verify: 'cache', onSourceChanged: 'fail', keepPrevious: false, syncEach: this.syncEach } }, this.control);
  }

  /** All steps. */
  take(): SealedRecord {
    const { chunks } = this.plan();
    for (let chunk = 0; chunk < chunks; chunk += 1) this.chunk(this.attempt(chunk));
    return this.seal();
  }

  /** Answers what it has published all the same. */
  discard(): SnapshotRecord | undefined {
    return discardSnapshot(this.location, this.owner, undefined, this.control);
  }

  open(): OpenSnapshot {
    return openSnapshot(this.repository, this.name);
  }
}
