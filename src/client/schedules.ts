import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy, type Client, type ScheduleDescription, type ScheduleHandle, type ScheduleOptions } from '@temporalio/client';
import { codeSpan } from '../core/markdown';
import { SCHEDULED_SNAPSHOT_WORKFLOW } from '../core/names';
import { parseModel } from '../models';
import { ScheduleInput, type ScheduleRequest } from '../schedule-models';
import { stateKey } from '../search-attributes';
import { cronSpec } from './cron-spec';
import { ScheduleExistsError, NoSuchScheduleError } from './errors';
import { describeExecution } from './describe-run';
import { isPolled } from './pollers';
import { boundFields, openedIfProven, scheduledArguments } from './proof';
import { snapshotRequest } from './run-requests';
import type { RunState } from './run-state';
import type { Registration } from './search-attributes';

/** Schedules of other programs have other ids. */
const PREFIX = 'file-backup-schedule-';

/** What a schedule's memo says of it, for listings. */
interface ScheduleMemo {
  readonly sources: string;
  readonly repository: string;
  readonly timing: string;
}

/** A schedule as `file-backup schedule list` shows it. */
export interface BackupSchedule extends ScheduleMemo {
  readonly name: string;
  readonly paused: boolean;
  readonly note: string | null;
  readonly nextTimes: readonly string[];
  /** Newest last. */
  readonly recentRuns: readonly { readonly scheduledAt: string; readonly startedAt: string; readonly workflowId: string; readonly runId: string }[];
  /** Where the newest run stands or how it ended; null before the first one, and when the server does not keep it any more. */
  readonly lastResult: RunState | null;
  /** Why that one did not end well: failure type and message. */
  readonly lastReason: string | null;
  readonly taskQueue: string;
  /** Whether a worker polls the queue: without one nothing is done. */
  readonly isServed: boolean;
  /** How often it acted, left a time out because it was still at work, and missed one for longer than it makes up for. */
  readonly taken: number;
  readonly skippedOverlaps: number;
  readonly missed: number;
}

export interface ScheduleContext {
  readonly client: Client;
  readonly taskQueue: string;
  readonly storage: string;
  /** Whether runs can carry search attributes. */
  readonly searchAttributes: () => Promise<Registration>;
}

/** The schedules of snapshots on a server. */
export class BackupSchedules {
  constructor(private readonly context: ScheduleContext) {}

  /**
   * Creates a schedule. A time that comes while the one before is still at work is left out, and of several times that
   * were missed while the server was down one is made up for.
   * @throws InvalidInputError, ScheduleExistsError, and errors of the connection
   */
  async create(request: ScheduleRequest): Promise<BackupSchedule> {
    const input = parseModel(ScheduleInput, request);
    const { registered } = await this.context.searchAttributes();
    try {
      const handle = await this.context.client.schedule.create(scheduleOptions(this.context, input, registered));
      return await describe(this.context.client, await handle.describe());
    } catch (error) {
      if (error instanceof ScheduleAlreadyRunning) throw new ScheduleExistsError(input.name);
      throw error;
    }
  }

  /** All of the project's schedules, by name. */
  async list(): Promise<BackupSchedule[]> {
    const schedules: BackupSchedule[] = [];
    for await (const { scheduleId } of this.context.client.schedule.list()) {
      if (!scheduleId.startsWith(PREFIX)) continue;
      const found = await this.context.client.schedule.getHandle(scheduleId).describe().catch(ifGone);
      if (found !== undefined) schedules.push(await describe(this.context.client, found));
    }
    return schedules.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One of them. @throws NoSuchScheduleError */
  async describe(name: string): Promise<BackupSchedule> {
    return describe(this.context.client, await this.act(name, (handle) => handle.describe()));
  }

  /** Lets a schedule rest. @throws NoSuchScheduleError */
  async pause(name: string): Promise<void> {
    await this.act(name, (handle) => handle.pause());
  }

  /** Lets a paused schedule go on. @throws NoSuchScheduleError */
  async resume(name: string): Promise<void> {
    await this.act(name, (handle) => handle.unpause());
  }

  /** Lets a schedule act now, unless it is at work. @throws NoSuchScheduleError */
  async trigger(name: string): Promise<void> {
    // The SDK's own default is ALLOW_ALL, of which the server neither waits for the end nor sees whether it failed.
    await this.act(name, (handle) => handle.trigger(ScheduleOverlapPolicy.SKIP));
  }

  /** Removes a schedule; what it has started goes on. @throws NoSuchScheduleError */
  async delete(name: string): Promise<void> {
    await this.act(name, (handle) => handle.delete());
  }

  private async act<Result>(name: string, call: (handle: ScheduleHandle) => Promise<Result>): Promise<Result> {
    try {
      return await call(this.context.client.schedule.getHandle(`${PREFIX}${name}`));
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) throw new NoSuchScheduleError(name);
      throw error;
    }
  }
}

function scheduleOptions({ client, taskQueue, storage }: ScheduleContext, { name, timing, action, paused }: ScheduleInput, isRegistered: boolean): ScheduleOptions {
  const { workflowId, memo, summary } = snapshotRequest({ ...action.snapshot, operationId: '' }, { storage, mayBeRepeated: false });
  const scheduleMemo: ScheduleMemo = { sources: memo.sourcePath, repository: memo.backupPath, timing: timingText(timing) };
  return {
    scheduleId: `${PREFIX}${name}`,
    memo: boundFields(client, 'schedule', { ...scheduleMemo }, { schedule: name }),
    spec: {
      ...(timing.intervalMs === undefined ? cronSpec(timing.cron, timing.timeZone, Date.now()) : { intervals: [{ every: timing.intervalMs }] }),
      jitter: timing.jitterMs,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: timing.catchUpMs, pauseOnFailure: timing.pauseOnFailure },
    action: {
      type: 'startWorkflow',
      workflowType: SCHEDULED_SNAPSHOT_WORKFLOW,
      workflowId: `${PREFIX}${name}`,
      taskQueue,
      args: scheduledArguments(client, [action, { workflowId, memo, summary }], { workflowType: SCHEDULED_SNAPSHOT_WORKFLOW, taskQueue }),
      memo: boundFields(client, 'memo', { sourcePath: memo.sourcePath, backupPath: memo.backupPath }, { schedule: name }),
      staticSummary: `${codeSpan(name)}: ${summary}`,
      ...(isRegistered ? { typedSearchAttributes: [{ key: stateKey, value: 'active' }] } : {}),
    },
    state: { paused },
  };
}

/** Deleted since it was listed. */
function ifGone(error: unknown): undefined {
  if (error instanceof ScheduleNotFoundError) return undefined;
  throw error;
}

/** What of its memo is not authentic is empty: somebody else has made the schedule. */
async function describe(client: Client, { scheduleId, memo, state, info, action: { taskQueue } }: ScheduleDescription): Promise<BackupSchedule> {
  const name = scheduleId.slice(PREFIX.length);
  const field = (field: keyof ScheduleMemo): string => openedIfProven<string>(client, memo?.[field], { kind: 'schedule', field, schedule: name }) ?? '';
  return {
    name,
    ...{ sources: field('sources'), repository: field('repository'), timing: field('timing') },
    paused: state.paused,
    note: state.note ?? null,
    nextTimes: info.nextActionTimes.map((time) => time.toISOString()),
    recentRuns: info.recentActions.map(({ scheduledAt, takenAt, action: { workflow } }) => ({ scheduledAt: scheduledAt.toISOString(), startedAt: takenAt.toISOString(), workflowId: workflow.workflowId, runId: workflow.firstExecutionRunId })),
    ...(await lastOf(client, info.recentActions.at(-1)?.action.workflow)),
    taskQueue,
    isServed: await isPolled(client, taskQueue),
    taken: info.numActionsTaken,
    skippedOverlaps: info.numActionsSkippedOverlap,
    missed: info.numActionsMissedCatchupWindow,
  };
}

async function lastOf(client: Client, last: { readonly workflowId: string; readonly firstExecutionRunId: string } | undefined): Promise<Pick<BackupSchedule, 'lastResult' | 'lastReason'>> {
  const run = last && (await describeExecution(client, last.workflowId, last.firstExecutionRunId));
  return { lastResult: run?.state ?? null, lastReason: run?.reason ?? null };
}

function timingText({ cron, intervalMs, timeZone }: ScheduleInput['timing']): string {
  return intervalMs === undefined ? `${cron.join('; ')} ${timeZone ?? 'UTC'}` : `every ${intervalMs / 1000} s`;
}
