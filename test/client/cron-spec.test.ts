import { randomUUID } from 'node:crypto';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import { BackupClient } from '../../src/client';
import { InvalidInputError } from '../../src/models';
import { testServerAddress } from '../helpers/backup-harness';

const YEARS = 10;
const DAY_MS = 86_400_000;

/** Of what comes every hour, more than a year. */
const MOST_READ = 10_000;

let client: BackupClient;
let connection: Connection;
let name = '';

beforeAll(async () => {
  connection = await Connection.connect({ address: testServerAddress() });
  client = new BackupClient({ connection, namespace: 'default', taskQueue: `nobody-${randomUUID()}` });
});

afterEach(() => client.schedules.delete(name).catch(() => undefined));
afterAll(() => client?.close());

/** All times of the next ten years, as the server has them. */
async function timesOf(cron: readonly string[], timeZone: string): Promise<Date[]> {
  name = `clock-${randomUUID()}`;
  const action = { snapshot: { sources: ['/source'], repository: '/repository' } };
  await client.schedules.create({ name, paused: true, timing: { cron: [...cron], timeZone }, action });
  const endSeconds = Math.floor(Date.now() / 1000) + YEARS * 366 * 86_400;
  const all: number[] = [];
  // The server answers no more than a thousand at a time.
  for (let startSeconds = Math.floor(Date.now() / 1000); ; startSeconds = all.at(-1) ?? 0) {
    const asked = { namespace: 'default', scheduleId: `file-backup-schedule-${name}`, startTime: msToTs(startSeconds * 1000), endTime: msToTs(endSeconds * 1000) };
    const { startTime } = await connection.workflowService.listScheduleMatchingTimes(asked);
    const times = startTime.map(({ seconds }) => Number(seconds)).filter((seconds) => seconds > startSeconds);
    if (times.length === 0) return all.map((seconds) => new Date(seconds * 1000));
    all.push(...times);
    if (all.length > MOST_READ) return all.map((seconds) => new Date(seconds * 1000));
  }
}

/** Day and time on the clocks of a zone, to the minute. */
function onTheWall(times: readonly Date[], timeZone: string): { day: string; time: string }[] {
  const format = new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  return times.map((time) => format.format(time).split(' ')).map(([day = '', time = '']) => ({ day, time }));
}

function countBy(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

/** Each day of the next ten years that is over then. */
function days(timeZone: string): string[] {
  const noons = Array.from({ length: YEARS * 365 }, (_, index) => new Date(Date.now() + (index + 1) * DAY_MS));
  return [...new Set(onTheWall(noons, timeZone).map(({ day }) => day))];
}

test.each([
  // The documentation's own example.
  ['Europe/Berlin', '30 2 * * *', '02:30', '03:30'],
  ['America/New_York', '30 2 * * *', '02:30', '03:30'],
  // The clock is put forward at midnight.
  ['America/Santiago', '15 0 * * *', '00:15', '01:15'],
  ['America/Santiago', '30 23 * * *', '23:30', '23:30'],
  ['Australia/Sydney', '0 2 * * *', '02:00', '03:00'],
  // By half an hour.
  ['Australia/Lord_Howe', '15 2 * * *', '02:15', '02:45'],
  ['Australia/Lord_Howe', '45 1 * * *', '01:45', '01:45'],
  ['Australia/Lord_Howe', '15 1 * * *', '01:15', '01:15'],
  // By two hours.
  ['Antarctica/Troll', '30 1 * * *', '01:30', '03:30'],
  ['Asia/Tokyo', '30 2 * * *', '02:30', '02:30'],
])('in %s a schedule at %s acts once each night for ten years', async (timeZone, cron, usual, moved) => {
  const wall = onTheWall(await timesOf([cron], timeZone), timeZone);
  const counts = countBy(wall.map(({ day }) => day));
  expect(days(timeZone).filter((day) => counts[day] !== 1)).toEqual([]);
  const times = countBy(wall.map(({ time }) => time));
  expect(Object.keys(times).sort()).toEqual([...new Set([usual, moved])].sort());
  if (moved !== usual) expect(times[moved]).toBeGreaterThanOrEqual(YEARS - 1);
  if (moved !== usual) expect(times[moved]).toBeLessThanOrEqual(YEARS + 1);
});

test('of a clock that is put back, the first of two equal times counts', async () => {
  const inAutumn = (await timesOf(['30 2 * 10 *'], 'Europe/Berlin')).filter((time) => time.getUTCDay() === 0 && time.getUTCDate() >= 25);
  expect(inAutumn).toHaveLength(YEARS);
  expect(new Set(inAutumn.map((time) => time.toISOString().slice(11, 16)))).toEqual(new Set(['00:30']));
});

test('several times in the hour of a change are each taken once, and days that are not meant stay left out', async () => {
  const wall = onTheWall(await timesOf(['0,30 2 * * sun', '30 3 * * sun,sat'], 'Europe/Berlin'), 'Europe/Berlin');
  const times = new Map<string, string[]>();
  for (const { day, time } of wall) times.set(day, [...(times.get(day) ?? []), time]);
  expect(countBy([...times].map(([day, of]) => `${new Date(day).getUTCDay()} ${of.join(' ')}`))).toEqual({
    '0 02:00 02:30 03:30': expect.any(Number) as number,
    // In spring, where half past three is there anyway.
    '0 03:00 03:30': YEARS,
    '6 03:30': expect.any(Number) as number,
  });
});

test('what comes every hour goes on every hour', async () => {
  const times = await timesOf(['0 * * * *'], 'Europe/Berlin');
  const gaps = times.slice(1).map((time, index) => Math.round((time.getTime() - (times[index]?.getTime() ?? 0)) / 60_000));
  expect(new Set(gaps)).toEqual(new Set([60]));
});

test('what comes very often in the hour that is left out is made up for once, and no night is lost', async () => {
  const wall = onTheWall(await timesOf(['*/5 2 24-31 3 sun'], 'Europe/Berlin'), 'Europe/Berlin');
  const inSpring = Object.entries(countBy(wall.map(({ day }) => day))).filter(([, count]) => count === 1);
  expect(inSpring.length).toBeGreaterThanOrEqual(YEARS - 1);
});

test('what a schedule shows of its times is what was typed', async () => {
  await timesOf(['30 2 * * *'], 'Europe/Berlin');
  expect((await client.schedules.list()).find((each) => each.name === name)).toMatchObject({ timing: '30 2 * * * Europe/Berlin' });
});

test.each([
  [{ cron: ['30 25 * * *'] }, 'must be five fields as in a crontab'],
  [{ cron: ['30 2 * *'] }, 'must be five fields as in a crontab'],
  [{ cron: [''] }, 'must be five fields as in a crontab'],
  [{ cron: ['30 2 * * *'], timeZone: 'Europe/Atlantis' }, 'must be the name of a time zone'],
])('wrong times are refused before anything is created: %j', async (timing, message) => {
  const request = { name: 'wrong', timing, action: { snapshot: { sources: ['/source'], repository: '/repository' } } };
  await expect(client.schedules.create(request)).rejects.toThrow(InvalidInputError);
  await expect(client.schedules.create(request)).rejects.toThrow(message);
});
