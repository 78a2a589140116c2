import { randomUUID } from 'node:crypto';
import { Connection, type Client } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { testServerAddress } from './backup-harness';

type Payloads = temporal.api.common.v1.IPayload[];
type Event = temporal.api.history.v1.IHistoryEvent;
type Command = temporal.api.command.v1.ICommand;

const NAMESPACE = 'default';
const NORMAL = 1;
const POLL_WITHIN_MS = 20_000;
const { CommandType } = temporal.api.enums.v1;

/** Somebody who reaches the server and has no key: everything goes as it is, past all codecs. */
export interface Stranger {
  start(workflowType: string, workflowId: string, taskQueue: string, input: Payloads, fields?: Partial<temporal.api.workflowservice.v1.IStartWorkflowExecutionRequest>): Promise<string>;
  /** Takes the next workflow task of a queue and answers it with commands. */
  answerWorkflowTask(taskQueue: string, commands: readonly Command[]): Promise<void>;
  /** Takes the next workflow task of a queue, which has to be a query, and answers it. */
  answerQuery(taskQueue: string, answer: unknown): Promise<void>;
  completeActivity(run: Run, activityId: string, result: Payloads): Promise<void>;
  failActivity(run: Run, activityId: string, failure: temporal.api.failure.v1.IFailure): Promise<void>;
  heartbeat(run: Run, activityId: string, details: Payloads): Promise<void>;
  /** Lets a run begin again after its first workflow task; answers the id of the new execution. */
  reset(run: Run): Promise<string>;
  /** Sends an update as somebody else has sent it; answers why it was refused, or nothing. */
  update(run: Run, request: temporal.api.update.v1.IRequest): Promise<string>;
  history(run: Run): Promise<Event[]>;
  close(): Promise<void>;
}

export interface Run {
  readonly workflowId: string;
  readonly runId: string;
}

export function plain(value: unknown): Payload {
  return defaultPayloadConverter.toPayload(value);
}

/** The command by which a worker ends a run well. */
export function completion(result: Payloads): Command {
  return { commandType: CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION, completeWorkflowExecutionCommandAttributes: { result: { payloads: result } } };
}

/** The command by which a worker lets a run go on in another execution. */
export function continuation(workflowType: string, taskQueue: string): Command {
  return { commandType: CommandType.COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION, continueAsNewWorkflowExecutionCommandAttributes: { workflowType: { name: workflowType }, taskQueue: { name: taskQueue, kind: NORMAL } } };
}

/** The command by which a worker has a step done. */
export function scheduling(activityType: string, activityId: string, taskQueue: string, input: Payloads): Command {
  const seconds = { seconds: 60 as never };
  return { commandType: CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK, scheduleActivityTaskCommandAttributes: { activityType: { name: activityType }, activityId, taskQueue: { name: taskQueue, kind: NORMAL }, input: { payloads: input }, startToCloseTimeout: seconds, heartbeatTimeout: seconds, retryPolicy: { maximumAttempts: 1 } } };
}

/** The command by which a worker lets a run fail. */
export function failing(failure: temporal.api.failure.v1.IFailure): Command {
  return { commandType: CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION, failWorkflowExecutionCommandAttributes: { failure } };
}

export async function meetStranger(address = testServerAddress()): Promise<Stranger> {
  const connection = await Connection.connect({ address });
  const { workflowService: service } = connection;
  const identity = 'stranger';
  const poll = (taskQueue: string) => connection.withDeadline(Date.now() + POLL_WITHIN_MS, () => service.pollWorkflowTaskQueue({ namespace: NAMESPACE, taskQueue: { name: taskQueue, kind: NORMAL }, identity }));
  return {
    async start(workflowType, workflowId, taskQueue, input, fields = {}) {
      const { runId } = await service.startWorkflowExecution({ namespace: NAMESPACE, workflowId, workflowType: { name: workflowType }, taskQueue: { name: taskQueue, kind: NORMAL }, input: { payloads: input }, requestId: randomUUID(), ...fields });
      return runId;
    },
    async answerWorkflowTask(taskQueue, commands) {
      const { taskToken } = await poll(taskQueue);
      await service.respondWorkflowTaskCompleted({ namespace: NAMESPACE, taskToken, identity, commands: [...commands] });
    },
    async answerQuery(taskQueue, answer) {
      const { taskToken } = await poll(taskQueue);
      await service.respondQueryTaskCompleted({ namespace: NAMESPACE, taskToken, completedType: temporal.api.enums.v1.QueryResultType.QUERY_RESULT_TYPE_ANSWERED, queryResult: { payloads: [plain(answer)] } });
    },
    async completeActivity(run, activityId, result) {
      await service.respondActivityTaskCompletedById({ namespace: NAMESPACE, ...run, activityId, result: { payloads: result }, identity });
    },
    async failActivity(run, activityId, failure) {
      await service.respondActivityTaskFailedById({ namespace: NAMESPACE, ...run, activityId, failure, identity });
    },
    async heartbeat(run, activityId, details) {
      await service.recordActivityTaskHeartbeatById({ namespace: NAMESPACE, ...run, activityId, details: { payloads: details }, identity });
    },
    async reset(run) {
      const { runId } = await service.resetWorkflowExecution({ namespace: NAMESPACE, workflowExecution: run, workflowTaskFinishEventId: { low: 4, high: 0, unsigned: false } as never, requestId: randomUUID(), reason: 'why not' });
      return runId;
    },
    async update(run, request) {
      const { outcome } = await service.updateWorkflowExecution({ namespace: NAMESPACE, workflowExecution: run, request, waitPolicy: { lifecycleStage: temporal.api.enums.v1.UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED } });
      return outcome?.failure?.applicationFailureInfo?.type ?? '';
    },
    async history({ workflowId, runId }) {
      const { history } = await service.getWorkflowExecutionHistory({ namespace: NAMESPACE, execution: { workflowId, runId } });
      return history?.events ?? [];
    },
    close: () => connection.close(),
  };
}

/** Types of the steps that were asked for. */
export function stepsIn(events: readonly Event[]): string[] {
  return events.flatMap(({ activityTaskScheduledEventAttributes: asked }) => (asked?.activityType?.name ? [asked.activityType.name] : []));
}

/** The type of the failure that a run ended with. */
export async function failureTypeOf(client: Client, { workflowId, runId }: Run): Promise<string | null | undefined> {
  try {
    await client.workflow.getHandle(workflowId, runId).result();
    return undefined;
  } catch (error) {
    return (error as { cause?: { type?: string } }).cause?.type;
  }
}
