import { median, pairedMedian } from './statistics.mjs';

const seconds = (ms) => (ms / 1000).toFixed(ms < 9950 ? 2 : 1);

/** The times of a case: medians with spread, and each contender against ours, round by round. */
export function timesTable(titles, timesMs, ours) {
  const rows = Object.entries(timesMs).map(([key, values]) => {
    const against = timesMs[ours] === undefined ? '' : `${pairedMedian(values, timesMs[ours], (theirs, own) => theirs / own).toFixed(2)}`;
    return [titles[key], seconds(median(values)), seconds(Math.min(...values)), seconds(Math.max(...values)), against];
  });
  return table(['contender', 'median s', 'minimum', 'maximum', 'times ours'], rows);
}

export function requirementsTable(judged) {
  return table(['required', 'bound', 'measured', ''], judged.map(({ text, bound, measured, met }) => [text, bound, measured.toFixed(2), met ? 'met' : '**missed**']));
}

export function historyLine({ actions, heartbeats, events, largestPayloadBytes, files }) {
  const each = (count) => ((count / files) * 1000).toFixed(1);
  return `History: ${events} events, ${each(events)} for 1,000 files; ${actions} actions, ${each(actions)} for 1,000 files, and ${heartbeats} heartbeats; largest payload ${largestPayloadBytes} bytes.`;
}

export function growthTable(rows) {
  return table(
    ['files', 'seconds', 'files/s', 'peak memory of the worker, MiB', 'history events', 'largest payload, bytes'],
    rows.map(({ files, ms, peakMib, events, largestPayloadBytes }) => [files.toLocaleString('en'), seconds(ms), Math.round(files / (ms / 1000)).toLocaleString('en'), peakMib.toFixed(0), events, largestPayloadBytes]),
  );
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
