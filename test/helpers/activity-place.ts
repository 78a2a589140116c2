import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities, type Activities, type ActivityDependencies, type Batch, type Operation, type RestorePlan, type SnapshotPlan } from '../../src/activities';
import type { ActivityName } from '../../src/activities/requests';
import { StepFailed } from '../../src/activities/step-failed';
import { BatchBackupInput } from '../../src/batch-models';
import { FileBackupInput } from '../../src/models';
import { RestoreInput } from '../../src/restore-models';
import { KeepRules } from '../../src/schedule-models';
import { SnapshotInput } from '../../src/snapshot-models';
import { TransferControl } from '../../src/storage/control';
import { initRepository } from '../../src/storage/snapshot/repository';
import { StagingRegistry } from '../../src/storage/staging-registry';
import runStep from '../../src/storage/thread';

/** Who asks: an execution, and what the server would say that its chain began with. */
export interface Asking {
  readonly workflowId: string;
  readonly runId: string;
  readonly firstRunId: string;
}

export function newAsking(workflowId = `workflow-${randomUUID()}`): Asking {
  const runId = randomUUID();
  return { workflowId, runId, firstRunId: runId };
}

/** Refusals are what tests are after. */
const silent = new DefaultLogger('ERROR', () => undefined);

/** Runs storage's steps in this very thread, where a test can see every call. A sync is answered at once. */
export const poolInThread = {
  run: (step: Parameters<ActivityDependencies['pool']['run']>[0], input: unknown, control = new TransferControl()): Promise<unknown> => {
    const answer = runStep({ step, input, memory: control.memory, trustDestinations: false });
    return answer.ok ? Promise.resolve(answer.result) : Promise.reject(new StepFailed(answer.error));
  },
} as unknown as ActivityDependencies['pool'];

/** A worker's activities without a server: one root with sources and destinations, and what lies beside it. */
export class ActivityPlace {
  readonly root: string;
  readonly outside: string;
  readonly stateDirectory: string;
  readonly registry: StagingRegistry;
  readonly activities: Activities;
  private readonly firstRunIds = new Map<string, string>();

  constructor(folder: string, pool = poolInThread) {
    const top = mkdtempSync(join(folder, 'place-'));
    this.root = join(top, 'root');
    this.outside = join(top, 'outside');
    this.stateDirectory = join(top, 'state');
    for (const directory of [this.root, this.outside, this.stateDirectory]) mkdirSync(directory);
    this.registry = new StagingRegistry(this.stateDirectory);
    const firstRunIdOf = ({ runId }: { runId: string }): Promise<string> => Promise.resolve(this.firstRunIds.get(runId) ?? runId);
    this.activities = createActivities({ roots: { sources: [this.root], destinations: [this.root] }, pool, registry: this.registry, clusterId: 'cluster', firstRunIdOf, sweepOthers: () => Promise.resolve() });
  }

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** Writes a file below the root, with the directories that lead to it. */
  write(name: string, content = `content of ${name}`): string {
    const path = this.path(name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** Schedules an activity with anything at all. */
  async schedule(name: string, args: readonly unknown[], { workflowId, runId, firstRunId }: Asking, activityId = '1'): Promise<unknown> {
    this.firstRunIds.set(runId, firstRunId);
    const environment = new MockActivityEnvironment({ activityType: name, activityId, workflowExecution: { workflowId, runId } }, { logger: silent });
    const { [name as ActivityName]: activity } = this.activities;
    return environment.run(activity as (...any: unknown[]) => Promise<unknown>, ...args);
  }

  async call<Name extends ActivityName>(name: Name, request: Parameters<Activities[Name]>[0], asking: Asking): Promise<Awaited<ReturnType<Activities[Name]>>> {
    return (await this.schedule(name, [JSON.parse(JSON.stringify(request))], asking)) as Awaited<ReturnType<Activities[Name]>>;
  }
}

export type Requests = { [Name in ActivityName]?: Parameters<Activities[Name]>[0] };

/** Runs every kind of run as a workflow would, up to what is to be left under way; answers what each activity was asked for. */
export class RecordedRuns {
  readonly requests: Requests = {};

  constructor(
    private readonly place: ActivityPlace,
    readonly asking: Asking = newAsking(),
  ) {}

  async file(name = 'file'): Promise<{ operation: Operation }> {
    const input = FileBackupInput.parse({ sourcePath: this.place.write(`sources/${name}`), backupPath: this.place.path('backups', 'new', name), verifyFrom: 'cache' });
    const operation = await this.step('inspectFile', { input });
    const prepared = await this.step('prepareStaging', { operation });
    const staged = await this.step('stageFile', { operation, replaces: null });
    await this.step('verifyFile', { operation, staged, finalCycle: false });
    await this.step('publishFile', { operation, prepared, staged });
    Object.assign(this.requests, { unpublishFile: { operation, prepared, staged }, discardStaging: { operation }, finalizeFile: { operation }, adoptTarget: { operation } });
    return { operation };
  }

  async inPlace(name = 'in-place'): Promise<void> {
    const input = FileBackupInput.parse({ sourcePath: this.place.write(`sources/${name}`), backupPath: this.place.path('backups', name), verifyFrom: 'cache', atomic: false });
    const operation = await this.step('inspectFile', { input });
    const staged = await this.step('writeTarget', { operation });
    await this.step('verifyTarget', { operation, staged, finalCycle: false });
  }

  async batch(name = 'batch', options: Partial<BatchBackupInput> = {}): Promise<Batch> {
    const sources = ['a', 'b'].map((each) => this.place.write(`sources/${name}/${each}`));
    const input = BatchBackupInput.parse({ sources, backupDir: this.place.path('batches', name), onFailure: 'rollBack', verifyFrom: 'cache', ...options });
    const batch = await this.step('planBatch', { input, runId: this.asking.firstRunId });
    await this.step('backupChunk', { batch, chunk: 0, pass: 0, storage: 'storage' });
    const { operationId, metadata, backupDir, layout } = input;
    const facts = { state: 'complete', operationId, metadata, backupDir, layout, workflowId: 'workflow', startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:01.000Z' };
    Object.assign(this.requests, {
      amendChunk: { batch, chunk: 0, amendments: [{ index: 0, entry: { state: 'backedUp', sizeBytes: 12, sha256: '0'.repeat(64), changed: false } }], storage: 'storage' },
      revokeRun: { batch },
      undoChunks: { batch, end: 1, count: 1 },
      sealRun: { batch, facts },
      discardRun: { runId: this.asking.firstRunId },
    });
    return batch;
  }

  /** @param seal false leaves it under way */
  async snapshot(seal: boolean, name = 'repository'): Promise<SnapshotPlan> {
    const { place, asking } = this;
    place.write('sources/tree/a');
    place.write('sources/tree/deep/b');
    const repository = place.path(name);
    mkdirSync(repository, { recursive: true });
    try {
      initRepository(repository);
    } catch {
      // Made by an earlier run.
    }
    const input = SnapshotInput.parse({ sources: [place.path('sources', 'tree')], repository, host: 'host', verifyFrom: 'cache', excludes: ['*.tmp'] });
    const snapshot = await this.step('planSnapshot', { input, runId: asking.firstRunId });
    await this.step('snapshotChunk', { snapshot, chunk: 0, pass: 0 });
    const closing = { snapshot, startedAt: new Date(Date.parse('2026-01-01') + (snapshots += 1) * 60_000).toISOString(), endedAt: '2026-06-01T00:00:01.000Z' };
    if (seal) await this.step('sealSnapshot', closing);
    Object.assign(this.requests, {
      sealSnapshot: closing,
      discardSnapshot: { repository, runId: asking.firstRunId },
      pruneRepository: { repository, host: 'host', keep: KeepRules.parse({ last: 5 }) },
      checkRepository: { repository, readData: '5%' },
    });
    return snapshot;
  }

  /** Of a snapshot that was taken before. */
  async restore(target = 'restored', options: Partial<RestoreInput> = {}): Promise<RestorePlan> {
    const input = RestoreInput.parse({ repository: this.place.path('repository'), target: this.place.path(target), verifyFrom: 'cache', ...options });
    const restore = await this.step('planRestore', { input, runId: this.asking.firstRunId });
    await this.step('restoreChunk', { restore, chunk: 0, pass: 0 });
    Object.assign(this.requests, { finishRestore: { restore, cancelled: false }, closeRestore: { restore, failuresPath: null } });
    return restore;
  }

  async step<Name extends ActivityName>(name: Name, request: Parameters<Activities[Name]>[0]): Promise<Awaited<ReturnType<Activities[Name]>>> {
    Object.assign(this.requests, { [name]: request });
    return this.place.call(name, request, this.asking);
  }
}

let snapshots = 0;
