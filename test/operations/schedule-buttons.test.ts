import { randomUUID } from 'node:crypto';
import { startHarness, type Harness } from '../helpers/backup-harness';
import { makeRepository, published, requestOf, sourceOf, copyOf, writeSource, nextSecond } from '../helpers/snapshot';
import { sha256Of, until } from '../helpers/target-state';
import { temporalCli } from '../helpers/temporal-cli';

jest.setTimeout(120_000);

let harness: Harness;
let name: string;
let id: readonly string[];

beforeEach(async () => {
  harness = await startHarness();
  makeRepository(harness, ['a']);
  name = `nightly-${randomUUID()}`;
  id = ['--schedule-id', `file-backup-schedule-${name}`];
  // Of times that do not come while the tests run.
  await harness.client.schedules.create({ name, timing: { cron: ['0 3 1 1 *'] }, action: { snapshot: requestOf(harness) } });
});

afterEach(async () => {
  await harness.client.schedules.delete(name).catch(() => undefined);
  await harness.remove();
});

async function untilPublished(count: number): Promise<void> {
  await until(`${count} snapshots are published`, () => published(harness).length === count);
}

test('trigger takes a snapshot now', async () => {
  await temporalCli(['schedule', 'trigger', ...id]);
  await untilPublished(1);
  expect(sha256Of(copyOf(harness, published(harness)[0] ?? null, sourceOf(harness, 'a')))).toBe(sha256Of(sourceOf(harness, 'a')));
});

test('toggle pauses the schedule with a reason that is listed, and a trigger takes a snapshot all the same', async () => {
  await temporalCli(['schedule', 'toggle', '--pause', '--reason', 'moving house', ...id]);
  await until('the pause is listed', async () => (await harness.client.schedules.list()).some((each) => each.name === name && each.paused && each.note === 'moving house'));
  await temporalCli(['schedule', 'trigger', ...id]);
  await untilPublished(1);
  await temporalCli(['schedule', 'toggle', '--unpause', '--reason', 'moved', ...id]);
  await until('it goes on', async () => (await harness.client.schedules.list()).some((each) => each.name === name && !each.paused));
});

test('backfill of several missed times takes snapshots of what is there now, one after the other', async () => {
  await temporalCli(['schedule', 'backfill', '--start-time', '2023-12-31T00:00:00Z', '--end-time', '2025-06-01T00:00:00Z', '--overlap-policy', 'BufferAll', ...id]);
  await untilPublished(2);
  await nextSecond();
  writeSource(harness, 'b', 'later');
  await temporalCli(['schedule', 'trigger', ...id]);
  await untilPublished(3);
  for (const snapshot of published(harness)) expect(sha256Of(copyOf(harness, snapshot, sourceOf(harness, 'a')))).toBe(sha256Of(sourceOf(harness, 'a')));
});

test('delete ends the schedule and keeps its snapshots', async () => {
  await temporalCli(['schedule', 'trigger', ...id]);
  await untilPublished(1);
  await temporalCli(['schedule', 'delete', ...id]);
  await expect(temporalCli(['schedule', 'describe', ...id])).rejects.toThrow();
  expect(published(harness)).toHaveLength(1);
});

test('list and describe show the schedule and change nothing', async () => {
  await until('it is listed', async () => (await temporalCli(['schedule', 'list'])).includes(name));
  await expect(temporalCli(['schedule', 'describe', ...id])).resolves.toContain('scheduledSnapshot');
  expect(published(harness)).toEqual([]);
});
