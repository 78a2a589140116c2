import { pairedMedian } from './statistics.mjs';

const DEVICE = 'temporal-device';
const COMMAND = 'command';
const times = (a, b) => b / a;
const timesAsLong = (ours, theirs) => ours / theirs;

/** What was promised, by case: a figure of the rounds and its bound. */
const requirements = {
  a: [
    { text: 'as fast as rsync --fsync', of: [DEVICE, 'rsync-fsync', times], least: 1.4 },
    { text: 'as fast as restic', of: [DEVICE, 'restic', times], least: 1.5 },
  ],
  b: [
    { text: 'as fast as cp + sha256sum', of: [DEVICE, 'cp', times], least: 2.5 },
    { text: "Temporal's share of the wall time, %", of: [DEVICE, 'engine-device', share], most: 5 },
  ],
  c: [
    { text: 'as fast as rsync --fsync', of: [DEVICE, 'rsync-fsync', times], least: 2.5 },
    { text: 'as fast as restic', of: [DEVICE, 'restic', times], least: 1.3 },
    { text: 'times as long as rsync -a, verified from the cache', of: ['temporal-cache', 'rsync', timesAsLong], most: 1.25 },
    { text: "Temporal's share of the wall time, %", of: [DEVICE, 'engine-device', share], most: 20 },
  ],
  'snapshot-first': [{ text: 'as fast as restic backup + check', of: [COMMAND, 'restic', times], least: 1.3 }],
  'snapshot-unchanged': [{ text: 'as fast as restic backup', of: [COMMAND, 'restic', times], least: 1 }],
  'snapshot-changed': [{ text: 'as fast as restic backup', of: [COMMAND, 'restic', times], least: 1 }],
  restore: [{ text: 'times as long as restic restore, which is not synced', of: [COMMAND, 'restic-unsynced', timesAsLong], most: 1.2 }],
};

/** The requirements of a case with what was measured; those whose contenders did not run are left out. */
export function judge(name, timesMs) {
  return (requirements[name] ?? []).flatMap(({ text, of: [first, second, figure], least, most }) => {
    if (timesMs[first] === undefined || timesMs[second] === undefined) return [];
    const measured = pairedMedian(timesMs[first], timesMs[second], figure);
    return [{ text, measured, bound: least === undefined ? `at most ${most}` : `at least ${least}`, met: least === undefined ? measured <= most : measured >= least }];
  });
}

function share(throughTemporal, alone) {
  return ((throughTemporal - alone) / throughTemporal) * 100;
}
