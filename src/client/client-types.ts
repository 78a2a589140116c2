import type { ConnectionLike } from '@temporalio/client';
import type { BatchBackupOutput } from '../batch-models';
import type { PayloadKeys } from '../keys/payload-keys';
import type { FileBackupOutput } from '../models';
import type { RestoreOutput } from '../restore-models';
import type { SnapshotOutput } from '../snapshot-models';
import type { ServerChoice } from './connect';
import type { StartedRun } from './start-run';

export interface BackupClientOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  /** Queue of the workers that do the work. */
  readonly taskQueue: string;
  /** Which storage the paths belong to, for the lock on targets; the queue unless workers of several queues share it. */
  readonly storage?: string;
  /** Keys that requests are signed with, and that answers have to be signed with. Without any, every answer is believed. */
  readonly payloadKeys?: PayloadKeys;
}

/** What `BackupClient.connect` goes by. */
export interface ConnectOptions extends ServerChoice, Pick<BackupClientOptions, 'taskQueue' | 'storage'> {
  readonly payloadKeys?: PayloadKeys | 'none';
}

/** A run that was started, or found running. */
export interface RunHandle<Output> extends StartedRun {
  /** Waits for the end; resolves for failed and cancelled runs too. */
  result(): Promise<Output>;
}

export type FileBackupHandle = RunHandle<FileBackupOutput>;
export type BatchBackupHandle = RunHandle<BatchBackupOutput>;
export type SnapshotHandle = RunHandle<SnapshotOutput>;
export type RestoreHandle = RunHandle<RestoreOutput>;
