import { randomUUID } from 'node:crypto';
import type { Payload, SerializationContext } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { Bound, bindAll, NotProven, open, Refused, type Purpose } from '../proof/bound';

/** Whether this client has keys: without any it believes what it is told. */
export function hasKeys({ options }: Client): boolean {
  return options.loadedDataConverter.payloadCodecs.length > 0;
}

/** The arguments of a run that is to be started now, on one queue. */
export function startArguments(client: Client, args: readonly unknown[], { workflowType, taskQueue }: { readonly workflowType: string; readonly taskQueue: string }): unknown[] {
  return hasKeys(client) ? bindAll(args, { kind: 'start', workflowType, taskQueue, nonce: randomUUID(), madeAtMs: Date.now() }) : [...args];
}

/** The arguments of runs that a schedule starts: at any time, for as long as somebody has them. */
export function scheduledArguments(client: Client, args: readonly unknown[], { workflowType, taskQueue }: { readonly workflowType: string; readonly taskQueue: string }): unknown[] {
  return hasKeys(client) ? bindAll(args, { kind: 'scheduled', workflowType, taskQueue, nonce: randomUUID() }) : [...args];
}

/** Binds each value to its field. */
export function boundFields(client: Client, kind: 'memo' | 'schedule', fields: Readonly<Record<string, unknown>>, place: Readonly<Record<string, string>> = {}): Record<string, unknown> {
  if (!hasKeys(client)) return { ...fields };
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, new Bound(value, { kind, field, ...place })]));
}

/** What was bound, if it was for this; any value for a client without keys. @throws NotProven */
export function opened<Value>(client: Client, value: unknown, expected: Purpose): Value {
  if (hasKeys(client)) return open<Value>(value, expected).value;
  if (value instanceof Refused) throw new NotProven(value.reason);
  return value as Value;
}

/** As `opened`, with undefined for what is not proven. */
export function openedIfProven<Value>(client: Client, value: unknown, expected: Purpose): Value | undefined {
  try {
    return opened<Value>(client, value, expected);
  } catch (error) {
    if (error instanceof NotProven) return undefined;
    throw error;
  }
}

/** The first of some payloads as they come from the server; undefined for none, and for one that was refused. */
export async function decodedFirst(client: Client, payloads: temporal.api.common.v1.IPayloads | null | undefined, context: SerializationContext, index = 0): Promise<unknown> {
  const payload = payloads?.payloads?.[index];
  if (payload === undefined) return undefined;
  const { payloadCodecs, payloadConverter } = client.options.loadedDataConverter;
  let decoded: Payload[] = [payload];
  for (const codec of [...payloadCodecs].reverse()) decoded = await codec.decode(decoded, context);
  const value: unknown = decoded[0] === undefined ? undefined : payloadConverter.fromPayload(decoded[0], context);
  return value instanceof Refused ? undefined : value;
}

const UNPROVEN = 'a failure that is not authentic';

/** What a step's attempt failed with, in its own words where they are proven. */
export async function stepFailureText(client: Client, failure: temporal.api.failure.v1.IFailure | null | undefined, request: { readonly step: string; readonly runId: string }, context: SerializationContext): Promise<string | undefined> {
  if (!failure || !hasKeys(client)) return failure?.message ?? undefined;
  if (failure.timeoutFailureInfo) return 'timed out';
  try {
    return String(open(await decodedFirst(client, failure.applicationFailureInfo?.details, context), { kind: 'stepFailure', ...request }).purpose.message);
  } catch (error) {
    if (error instanceof NotProven) return UNPROVEN;
    throw error;
  }
}
