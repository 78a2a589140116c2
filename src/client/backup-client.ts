import { Client, Connection, WorkflowExecutionAlreadyStartedError, type ConnectionLike, type WorkflowHandle } from '@temporalio/client';
import { printablePath } from '../core/format';
import { BACKUP_FILE_WORKFLOW, STATUS_QUERY } from '../core/names';
import type { FileBackupStatus } from '../core/status';
import type { BackupStatistics } from '../core/statistics';
import { FileBackupInput, parseModel, type FileBackupOutput, type FileBackupRequest } from '../models';
import { operationKey, stateKey } from '../search-attributes';
import { serverOrLocal, type ServerChoice } from './connect';
import { OperationReusedError, TargetBusyError } from './errors';
import { fileWorkflowId, fingerprintOf } from '../workflow-ids';
import { failedOutput, outputOf } from './output-of';
import { fileProgress, type FileProgress } from './progress';
import { describeIfPresent, describeRun, findOperation, listRuns, statistics, type BackupDescription, type BackupRun, type RunMemo } from './runs';
import { registerSearchAttributes, type Registration } from './search-attributes';

export interface BackupClientOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  /** Queue of the workers that do the work. */
  readonly taskQueue: string;
  /** Which storage the paths belong to, for the lock on targets; the queue unless workers of several queues share it. */
  readonly storage?: string;
}

/** A backup that was started, or found running. */
export interface FileBackupHandle {
  readonly workflowId: string;
  readonly runId: string;
  readonly operationId: string;
  readonly taskQueue: string;
  /** True when the same operation or equal input was there already. */
  readonly attached: boolean;
  /** Waits for the end; resolves for failed and cancelled backups too. */
  result(): Promise<FileBackupOutput>;
}

/** Without a worker the server itself would keep a query waiting for half a minute. */
const ANSWER_WITHIN_MS = 2000;

/** Starts and follows backups from a program. Needs a worker that serves the queue. */
export class BackupClient {
  private readonly client: Client;
  private registration: Promise<Registration> | undefined;

  constructor(private readonly options: BackupClientOptions) {
    this.client = new Client({ connection: options.connection, namespace: options.namespace });
  }

  /** Connects as all Temporal tools do: options, environment, profile, else the local development server. */
  static async connect(choice: ServerChoice & { readonly taskQueue: string; readonly storage?: string }): Promise<BackupClient> {
    const { namespace, connectionOptions } = serverOrLocal(choice);
    const connection = await Connection.connect(connectionOptions);
    return new BackupClient({ connection, namespace, taskQueue: choice.taskQueue, storage: choice.storage });
  }

  /**
   * Backs a file up and waits for the end. Never rejects because the backup failed: see `success` and `errorCode`.
   * @throws InvalidInputError, OperationReusedError, and errors of the connection
   */
  async backupFile(request: FileBackupRequest): Promise<FileBackupOutput> {
    const input = parseModel(FileBackupInput, request);
    try {
      return await (await this.start(input, request.operationId !== undefined)).result();
    } catch (error) {
      if (error instanceof TargetBusyError) return failedOutput(input, 'TargetBusy', error.message, 'notNeeded');
      throw error;
    }
  }

  /**
   * Starts a backup. The same operation sent twice runs once; equal input to a target that is just being written
   * attaches to that run.
   * @throws InvalidInputError, TargetBusyError, OperationReusedError, and errors of the connection
   */
  async startBackupFile(request: FileBackupRequest): Promise<FileBackupHandle> {
    return this.start(parseModel(FileBackupInput, request), request.operationId !== undefined);
  }

  /** By workflow id or operation id; needs no worker. @throws RunNotFoundError */
  async describe(id: string): Promise<BackupDescription> {
    return describeRun(this.client, id);
  }

  /** Asks a run to stop and undo; it ends as soon as its current step has stopped. @throws RunNotFoundError */
  async cancel(id: string): Promise<BackupDescription> {
    const run = await this.describe(id);
    await this.client.workflow.getHandle(run.workflowId, run.runId).cancel();
    return run;
  }

  /** What a live run is doing; needs no worker. */
  async progress({ workflowId, runId }: Pick<FileBackupHandle, 'workflowId' | 'runId'>): Promise<FileProgress> {
    return fileProgress(this.client, workflowId, runId);
  }

  /** What a live run waits for, in words, or null; asks the run's worker. @throws ServiceError when none answers soon */
  async waitingFor({ workflowId, runId }: Pick<FileBackupHandle, 'workflowId' | 'runId'>): Promise<string | null> {
    const ask = () => this.client.workflow.getHandle(workflowId, runId).query<FileBackupStatus>(STATUS_QUERY);
    return (await this.client.withDeadline(Date.now() + ANSWER_WITHIN_MS, ask)).waitingFor;
  }

  /** Newest first. */
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

  private async start(input: FileBackupInput, mayBeRepeated: boolean): Promise<FileBackupHandle> {
    const { registered } = await this.searchAttributes();
    const workflowId = fileWorkflowId(this.options.storage ?? this.options.taskQueue, input.backupPath);
    if (mayBeRepeated) {
      const earlier = await this.earlierRun(workflowId, input, registered);
      if (earlier !== undefined) return earlier;
    }
    try {
      const handle = await this.client.workflow.start(BACKUP_FILE_WORKFLOW, { ...this.startOptions(input, registered), workflowId });
      return handleOf(this.client.workflow.getHandle(workflowId, handle.firstExecutionRunId), input, this.options.taskQueue, handle.firstExecutionRunId, false);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      return this.attach(workflowId, input);
    }
  }

  private startOptions(input: FileBackupInput, registered: boolean) {
    const { sourcePath, backupPath, operationId, metadata } = input;
    const memo: RunMemo = { operationId, fingerprint: fingerprintOf(input), sourcePath, backupPath, metadata };
    return {
      taskQueue: this.options.taskQueue,
      args: [input],
      memo: { ...memo },
      staticSummary: `${printablePath(sourcePath)} → ${printablePath(backupPath)}`,
      staticDetails: `Operation \`${operationId}\`${input.atomic ? '' : ', in place (not atomic)'}`,
      ...(registered
        ? {
            typedSearchAttributes: [
              { key: operationKey, value: operationId },
              { key: stateKey, value: 'active' },
            ],
          }
        : {}),
    };
  }

  /** The target's run is alive: ours, equal, or somebody else's. */
  private async attach(workflowId: string, input: FileBackupInput): Promise<FileBackupHandle> {
    const running = await describeIfPresent(this.client, workflowId);
    const memo = running?.memo as RunMemo | undefined;
    const isSame = memo?.operationId === input.operationId || memo?.fingerprint === fingerprintOf(input);
    if (running === undefined || memo === undefined || !isSame) throw new TargetBusyError(input.backupPath, workflowId, memo?.operationId ?? 'unknown');
    const same = { ...input, operationId: memo.operationId };
    return handleOf(this.client.workflow.getHandle(workflowId, running.runId), same, running.taskQueue, running.runId, true);
  }

  /** The target's last run is asked first, because visibility lags behind. */
  private async earlierRun(workflowId: string, input: FileBackupInput, registered: boolean): Promise<FileBackupHandle | undefined> {
    const last = await describeIfPresent(this.client, workflowId);
    const found = isOf(last?.memo, input) ? last : await this.findEarlier(input, registered);
    if (found === undefined) return undefined;
    if ((found.memo as unknown as RunMemo).fingerprint !== fingerprintOf(input)) throw new OperationReusedError(input.operationId);
    return handleOf(this.client.workflow.getHandle(found.workflowId, found.runId), input, found.taskQueue, found.runId, true);
  }

  private async findEarlier({ operationId }: FileBackupInput, registered: boolean) {
    const found = registered ? await findOperation(this.client, operationId) : undefined;
    return found && describeIfPresent(this.client, found.workflowId, found.runId);
  }
}

function isOf(memo: Record<string, unknown> | undefined, { operationId }: FileBackupInput): boolean {
  return memo?.operationId === operationId;
}

function handleOf(handle: WorkflowHandle, input: FileBackupInput, taskQueue: string, runId: string, attached: boolean): FileBackupHandle {
  const { operationId } = input;
  return { workflowId: handle.workflowId, runId, operationId, taskQueue, attached, result: () => outputOf(handle, input) };
}
