import { localTime } from '../core/local-time';
import { fromJsonPath, pathText, type JsonPath } from '../storage/path-bytes';
import type { EntryType, FailedEntry, PresentEntry, SnapshotEntry } from '../storage/snapshot/entry';

/** A path fit for one line of text. */
export function shownPath(path: JsonPath): string {
  return pathText(fromJsonPath(path));
}

/** An entry of a snapshot on a line: its path, and what went wrong with it if anything did. */
export function entryLine(entry: SnapshotEntry): string {
  return entry.state === 'failed' ? `${shownPath(entry.path)}  (${failureText(entry)})` : shownPath(entry.path);
}

/** The same as `ls -l` does it: mode, owner, size, time, path and what a link points to. */
export function longEntryLine(entry: SnapshotEntry): string {
  if (entry.state === 'failed') return `${typeLetters[entry.type]}????????? ${columns('?', '?', '?', '?')} ${entryLine(entry)}`;
  const target = entry.type === 'symlink' ? ` -> ${shownPath(entry.linkTarget)}` : '';
  return `${modeLetters(entry)} ${columns(String(entry.uid), String(entry.gid), sizeOf(entry), timeOf(entry))} ${entryLine(entry)}${target}`;
}

/** `failed: EACCES: it may not be read`. */
export function failureText({ failure: { code, message } }: FailedEntry): string {
  return `failed: ${code}: ${message}`;
}

/** Widths that most values fit: all columns of a stream cannot be measured first. */
function columns(user: string, group: string, size: string, time: string): string {
  return `${user.padStart(5)} ${group.padStart(5)} ${size.padStart(12)} ${time.padEnd(19)}`;
}

function sizeOf(entry: PresentEntry): string {
  if (entry.type === 'file') return String(entry.sizeBytes);
  return 'deviceNumber' in entry && entry.deviceNumber !== undefined ? entry.deviceNumber : '0';
}

const NS_PER_MS = 1_000_000n;

function timeOf({ mtimeNs }: PresentEntry): string {
  return localTime(new Date(Number(BigInt(mtimeNs) / NS_PER_MS)));
}

const typeLetters: Readonly<Record<EntryType, string>> = { file: '-', directory: 'd', symlink: 'l', fifo: 'p', socket: 's', blockDevice: 'b', characterDevice: 'c' };

/** `0644` of a file → `-rw-r--r--`. */
function modeLetters({ type, mode: octal }: PresentEntry): string {
  const mode = Number.parseInt(octal, 8);
  const letters = [...'rwxrwxrwx'].map((letter, index) => ((mode & (0o400 >> index)) === 0 ? '-' : letter));
  const special = (bit: number, index: number, letter: string): void => {
    if ((mode & bit) !== 0) letters[index] = letters[index] === 'x' ? letter : letter.toUpperCase();
  };
  special(0o4000, 2, 's');
  special(0o2000, 5, 's');
  special(0o1000, 8, 't');
  return typeLetters[type] + letters.join('');
}
