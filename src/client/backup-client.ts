import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import type { z } from 'zod';
import { BatchBackupInput, BatchBackupOutput, type BatchBackupRequest } from '../batch-models';
import type { BatchProgress } from '../core/batch-progress';
import { PAUSE_UPDATE, RESUME_UPDATE, SET_LANES_UPDATE, STATUS_QUERY } from '../core/names';
import type { FileBackupStatus } from '../core/status';
import type { BackupStatistics } from '../core/statistics';
import type { FailureType } from '../failures';
import { FileBackupInput, FileBackupOutput, parseModel, type FileBackupRequest } from '../models';
import { RestoreInput, RestoreOutput, type RestoreRequest } from '../restore-models';
import { SnapshotInput, SnapshotOutput, type SnapshotRequest } from '../snapshot-models';
import type { BackupClientOptions, BatchBackupHandle, ConnectOptions, FileBackupHandle, RestoreHandle, RunHandle, SnapshotHandle } from './client-types';
import { batchProgress, type LiveBatchProgress } from './batch-progress';
import { serverOrLocal } from './connect';
import { choosePayloadKeys } from '../keys/choose-keys';
import { keylessConverter, signingConverter } from '../keys/data-converter';
import { TargetBusyError } from './errors';
import { failedBatchOutput, failedOutput, failedRestoreOutput, failedSnapshotOutput } from './failed-outputs';
import { OtherRuns } from './other-runs';
import { fileProgress, type FileProgress } from './progress';
import type { RecordSchema } from './read-output';
import { askQuery } from './query';
import { handleOf } from './run-handle';
import { batchRequest, fileRequest, restoreRequest, snapshotRequest } from './run-requests';
import { describePausable, describeRun, type BackupDescription } from './describe-run';
import { listRuns, type BackupRun } from './runs';
import { statistics } from './statistics';
import { registerSearchAttributes, type Registration } from './search-attributes';
import { BackupSchedules } from './schedules';
import { startRun, type RunRequest, type StartedRun } from './start-run';
import { updateBatch } from './update-batch';

/** Without a worker the server itself would keep a query waiting for half a minute. */
const ANSWER_WITHIN_MS = 2000;

export type * from './client-types';

/** Starts and follows backups from a program. Needs a worker that serves the queue. */
export class BackupClient {
  /** Schedules of snapshots on the server. */
  readonly schedules: BackupSchedules;
  /** Runs that other processes have started, and their workers. */
  readonly others: OtherRuns;
  private readonly client: Client;
  private registration: Promise<Registration> | undefined;

  constructor(private readonly options: BackupClientOptions) {
    const { connection, namespace, payloadKeys } = options;
    this.client = new Client({ connection, namespace, dataConverter: payloadKeys === undefined ? keylessConverter : signingConverter({ keys: payloadKeys }) });
    this.others = new OtherRuns(this.client);
    this.schedules = new BackupSchedules({ client: this.client, taskQueue: options.taskQueue, storage: this.storage, searchAttributes: () => this.searchAttributes() });
  }

  /**
   * Connects as all Temporal tools do: options, environment, profile, else the local development server; with the keys
   * that the commands of this user have, unless others are given, or `none`. @throws PayloadKeyError
   */
  static async connect({ taskQueue, storage, payloadKeys, ...choice }: ConnectOptions): Promise<BackupClient> {
    const keys = payloadKeys === 'none' ? undefined : (payloadKeys ?? choosePayloadKeys());
    const { namespace, connectionOptions } = serverOrLocal(choice);
    return new BackupClient({ connection: await Connection.connect(connectionOptions), namespace, taskQueue, storage, payloadKeys: keys });
  }

  /**
   * Backs a file up and waits for the end. Never rejects because the backup failed: see `success` and `errorCode`.
   * @throws InvalidInputError, OperationReusedError, and errors of the connection
   */
  async backupFile(request: FileBackupRequest): Promise<FileBackupOutput> {
    const input = parseModel(FileBackupInput, request);
    return resultOf(this.startFile(input, request.operationId !== undefined), (message) => failedOutput(input, 'TargetBusy', message, 'notNeeded'));
  }

  /**
   * Starts a backup. The same operation sent twice runs once; equal input to a target that is just being written
   * attaches to that run.
   * @throws InvalidInputError, TargetBusyError, OperationReusedError, and errors of the connection
   */
  async startBackupFile(request: FileBackupRequest): Promise<FileBackupHandle> {
    return this.startFile(parseModel(FileBackupInput, request), request.operationId !== undefined);
  }

  /**
   * Backs a list of files up and waits for the end. Never rejects because files or the batch failed: see `success`,
   * `failedFiles` and `errorCode`.
   * @throws InvalidInputError, OperationReusedError, and errors of the connection
   */
  async backupBatch(request: BatchBackupRequest): Promise<BatchBackupOutput> {
    const input = parseModel(BatchBackupInput, request);
    return resultOf(this.startBatch(input, request.operationId !== undefined), (message) => failedBatchOutput(input, 'TargetBusy', message, 'notNeeded'));
  }

  /**
   * Starts a batch. The same list into the same directory with equal options attaches to the run that is under way.
   * @throws InvalidInputError, TargetBusyError, OperationReusedError, and errors of the connection
   */
  async startBackupBatch(request: BatchBackupRequest): Promise<BatchBackupHandle> {
    return this.startBatch(parseModel(BatchBackupInput, request), request.operationId !== undefined);
  }

  /**
   * Takes a snapshot and waits for the end. Never rejects because files or the snapshot failed: see `success`, `status`
   * and `errorCode`.
   * @throws InvalidInputError, OperationReusedError, and errors of the connection
   */
  async backupSnapshot(request: SnapshotRequest): Promise<SnapshotOutput> {
    const input = parseModel(SnapshotInput, request);
    return resultOf(this.startSnapshot(input, request.operationId !== undefined), (message) => failedSnapshotOutput(input, 'TargetBusy', message, 'notNeeded'));
  }

  /**
   * Starts a snapshot. Equal options attach to a snapshot of the same sources that is being made.
   * @throws InvalidInputError, TargetBusyError, OperationReusedError, and errors of the connection
   */
  async startBackupSnapshot(request: SnapshotRequest): Promise<SnapshotHandle> {
    return this.startSnapshot(parseModel(SnapshotInput, request), request.operationId !== undefined);
  }

  /**
   * Restores a snapshot and waits for the end. Never rejects because entries or the restore failed: see `success`,
   * `failedEntries` and `errorCode`.
   * @throws InvalidInputError, OperationReusedError, and errors of the connection
   */
  async restoreSnapshot(request: RestoreRequest): Promise<RestoreOutput> {
    const input = parseModel(RestoreInput, request);
    return resultOf(this.startRestore(input, request.operationId !== undefined), (message) => failedRestoreOutput(input, 'TargetBusy', message));
  }

  /**
   * Starts a restore. Equal options attach to a restore to the same directory that is under way.
   * @throws InvalidInputError, TargetBusyError, OperationReusedError, and errors of the connection
   */
  async startRestoreSnapshot(request: RestoreRequest): Promise<RestoreHandle> {
    return this.startRestore(parseModel(RestoreInput, request), request.operationId !== undefined);
  }

  /** By workflow id, operation id or run id, or the beginning of one; needs no worker. @throws RunNotFoundError, AmbiguousIdError */
  async describe(id: string): Promise<BackupDescription> {
    return describeRun(this.client, id);
  }

  /**
   * Asks a run to stop: a file is undone, a batch keeps what is published unless it is all or nothing. It ends as soon as
   * its current steps have stopped. @throws RunNotFoundError
   */
  async cancel(id: string): Promise<BackupDescription> {
    const run = await this.describe(id);
    await this.handleOf(run).cancel();
    return run;
  }

  /** Lets a batch start no more chunks until it is resumed. @throws RunNotFoundError, BatchUpdateError */
  async pause(id: string): Promise<BatchProgress> {
    return updateBatch(this.client, await describePausable(this.client, id), PAUSE_UPDATE);
  }

  /** Lets a paused batch go on. @throws RunNotFoundError, BatchUpdateError */
  async resume(id: string): Promise<BatchProgress> {
    return updateBatch(this.client, await describePausable(this.client, id), RESUME_UPDATE);
  }

  /** Changes how many chunks of a batch are worked on at a time, 1 to 64. @throws RunNotFoundError, BatchUpdateError */
  async setLanes(id: string, lanes: number): Promise<BatchProgress> {
    return updateBatch(this.client, await describePausable(this.client, id), SET_LANES_UPDATE, lanes);
  }

  /** What a live run is doing; needs no worker. */
  async progress({ workflowId, runId }: Pick<FileBackupHandle, 'workflowId' | 'runId'>): Promise<FileProgress> {
    return fileProgress(this.client, workflowId, runId);
  }

  /** How far a run of many files is, by its worker's word or, when none answers or `isServed` is false, by its history. */
  async batchProgress(run: Pick<StartedRun, 'workflowId' | 'runId' | 'firstRunId'>, isServed = true): Promise<LiveBatchProgress> {
    return batchProgress(this.client, run, isServed ? ANSWER_WITHIN_MS : 0);
  }

  /** What a live run waits for, in words, or null; asks the run's worker. @throws ServiceError when none answers soon */
  async waitingFor({ workflowId, runId }: Pick<FileBackupHandle, 'workflowId' | 'runId'>): Promise<string | null> {
    const ask = () => askQuery<FileBackupStatus>(this.client, { workflowId, runId }, STATUS_QUERY);
    return (await this.client.withDeadline(Date.now() + ANSWER_WITHIN_MS, ask)).waitingFor;
  }

  /** The newest runs of all kinds, newest first. */
  async runs(limit: number): Promise<BackupRun[]> {
    return listRuns(this.client, limit);
  }

  /** Totals over the runs that the server still keeps. */
  async statistics(): Promise<BackupStatistics> {
    return statistics(this.client);
  }

  async close(): Promise<void> {
    await this.options.connection.close();
  }

  /** Asked once: whether runs can carry search attributes here. */
  searchAttributes(): Promise<Registration> {
    this.registration ??= registerSearchAttributes(this.options.connection, this.options.namespace);
    return this.registration;
  }

  private startFile(input: FileBackupInput, mayBeRepeated: boolean): Promise<FileBackupHandle> {
    return this.follow(fileRequest(input, { storage: this.storage, mayBeRepeated }), FileBackupOutput, (operationId, errorCode, message) => failedOutput({ ...input, operationId }, errorCode, message, 'failed'));
  }

  private startBatch(input: BatchBackupInput, mayBeRepeated: boolean): Promise<BatchBackupHandle> {
    return this.follow(batchRequest(input, { storage: this.storage, mayBeRepeated }), BatchBackupOutput, (operationId, errorCode, message) => failedBatchOutput({ ...input, operationId }, errorCode, message, 'failed'));
  }

  private startSnapshot(input: SnapshotInput, mayBeRepeated: boolean): Promise<SnapshotHandle> {
    return this.follow(snapshotRequest(input, { storage: this.storage, mayBeRepeated }), SnapshotOutput, (operationId, errorCode, message) => failedSnapshotOutput({ ...input, operationId }, errorCode, message, 'failed'));
  }

  private startRestore(input: RestoreInput, mayBeRepeated: boolean): Promise<RestoreHandle> {
    return this.follow(restoreRequest(input, { storage: this.storage, mayBeRepeated }), RestoreOutput, (operationId, errorCode, message) => failedRestoreOutput({ ...input, operationId }, errorCode, message));
  }

  private follow<Schema extends RecordSchema>(request: RunRequest, schema: Schema, withoutRecord: (operationId: string, errorCode: FailureType, message: string) => z.output<Schema>): Promise<RunHandle<z.output<Schema>>> {
    return handleOf(this.client, () => this.start(request), schema, withoutRecord);
  }

  private get storage(): string {
    return this.options.storage ?? this.options.taskQueue;
  }

  private async start(request: RunRequest): Promise<StartedRun> {
    const { registered } = await this.searchAttributes();
    return startRun({ client: this.client, taskQueue: this.options.taskQueue, registered }, request);
  }

  /** Of a run that may continue as new meanwhile. */
  private handleOf({ workflowId, firstRunId }: BackupDescription): WorkflowHandle {
    return this.client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: firstRunId });
  }
}

/** The record at the end; a busy target has one too. */
async function resultOf<Output>(starting: Promise<RunHandle<Output>>, busy: (message: string) => Output): Promise<Output> {
  try {
    return await (await starting).result();
  } catch (error) {
    if (error instanceof TargetBusyError) return busy(error.message);
    throw error;
  }
}
