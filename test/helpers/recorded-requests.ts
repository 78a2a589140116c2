import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const HISTORIES = resolve(__dirname, '../histories');

interface RecordedHistory {
  readonly events: readonly { readonly activityTaskScheduledEventAttributes?: { readonly activityType: { readonly name: string }; readonly input?: { readonly payloads: readonly { readonly data: string }[] } } }[];
}

/** What activities were scheduled with in all recorded histories, by name. */
export function recordedRequests(): Record<string, unknown[][]> {
  const requests: Record<string, unknown[][]> = {};
  for (const file of readdirSync(HISTORIES)) {
    const { events } = JSON.parse(readFileSync(resolve(HISTORIES, file), 'utf8')) as RecordedHistory;
    for (const { activityTaskScheduledEventAttributes: scheduled } of events) {
      if (scheduled === undefined) continue;
      const args = (scheduled.input?.payloads ?? []).map(({ data }) => JSON.parse(Buffer.from(data, 'base64').toString()) as unknown);
      (requests[scheduled.activityType.name] ??= []).push(args);
    }
  }
  return requests;
}
