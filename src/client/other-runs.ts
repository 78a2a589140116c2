import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { z } from 'zod';
import type { FailureType } from '../failures';
import { statusOfChain, type FirstExecution } from './chain-status';
import { outputOf } from './output-of';
import { decodedFirst, openedIfProven } from './proof';
import type { BackupDescription } from './describe-run';
import { isPolled } from './pollers';
import type { RunKind } from './run-kinds';

type Event = temporal.api.history.v1.IHistoryEvent;

/** What a run was started with, by the word of whoever has the key. */
export interface RunOrigin {
  readonly workflowType: string;
  /** The input of its workflow; undefined where it is not proven. */
  readonly input: object | undefined;
  /** Whether a step has begun that lets anything be seen at a target. Without that, its undo leaves nothing changed. */
  readonly mayHavePublished: boolean;
}

/** How a run ended, as far as that is the same for all kinds of runs. */
const RunOutcome = z.looseObject({
  success: z.boolean(),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
  rollback: z.union([z.string(), z.looseObject({ status: z.string() })]).optional(),
});
export type RunOutcome = z.output<typeof RunOutcome>;

/** Steps that let something be seen at a target. */
const publishingSteps: Readonly<Record<RunKind, readonly string[]>> = {
  file: ['publishFile', 'adoptTarget', 'writeTarget'],
  batch: ['backupChunk'],
  snapshot: ['sealSnapshot'],
  restore: ['restoreChunk'],
  schedule: [],
};

/** Runs that other processes have started, and the workers that are there for them. */
export class OtherRuns {
  constructor(private readonly client: Client) {}

  /** What a run was asked for, and how far it can have got: read from its history. */
  async originOf({ workflowId, kind, firstRunId, runId, taskQueue }: BackupDescription): Promise<RunOrigin> {
    const first = await this.eventsOf(workflowId, firstRunId);
    const started = first[0]?.workflowExecutionStartedEventAttributes;
    const workflowType = started?.workflowType?.name ?? '';
    const context = { type: 'workflow' as const, namespace: this.client.options.namespace, workflowId };
    const input = openedIfProven<object>(this.client, await decodedFirst(this.client, started?.input, context), { kind: 'start', workflowType, taskQueue });
    const latest = runId === firstRunId ? [] : await this.eventsOf(workflowId, runId);
    const isPublishing = ({ activityTaskScheduledEventAttributes: asked }: Event): boolean => publishingSteps[kind].includes(asked?.activityType?.name ?? '');
    return { workflowType, input, mayHavePublished: [...first, ...latest].some(isPublishing) };
  }

  /** Waits for the end of a run. */
  async outcomeOf({ workflowId, runId, firstRunId }: BackupDescription): Promise<RunOutcome> {
    const withoutRecord = (errorCode: FailureType, errorMessage: string): RunOutcome => ({ success: false, errorCode, errorMessage });
    return outputOf(this.client, { workflowId, runId, firstRunId }, RunOutcome, withoutRecord);
  }

  /** Whether a worker polls a queue for runs. One that has gone is remembered by the server for a minute or so. */
  async isPolled(taskQueue: string): Promise<boolean> {
    return isPolled(this.client, taskQueue);
  }

  /** How the run stands that began with an execution; undefined when the server does not know it any more. */
  async statusOf(first: FirstExecution): Promise<WorkflowExecutionStatusName | undefined> {
    return statusOfChain(first, this.client);
  }

  /** Which cluster answers. */
  async clusterId(): Promise<string> {
    return (await this.client.workflowService.getClusterInfo({})).clusterId;
  }

  private async eventsOf(workflowId: string, runId: string): Promise<readonly Event[]> {
    return (await this.client.workflow.getHandle(workflowId, runId).fetchHistory()).events ?? [];
  }
}
