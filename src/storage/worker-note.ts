import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseJson } from '../core/parse-json';
import { errnoName, isErrno } from './errors';

/** Names of notes: one for each process that has worked in a directory. */
const PREFIX = 'worker-';

/** Larger than any note. */
const MAX_NOTE_BYTES = 4096;

/** A process for good: a number is given out again, a number with the moment of its start is not. */
interface WorkerNote {
  readonly host: string;
  readonly bootId: string;
  /** Processes of other containers have other numbers. */
  readonly pidNamespace: string;
  readonly pid: number;
  readonly startTicks: string;
}

/** What can be told from here of those who worked in a directory; `unknown`: nobody left a note, or it is another host's. */
export type WorkerState = 'alive' | 'ended' | 'unknown';

const noted = new Set<string>();

/**
 * Notes in a directory of ours that this process works in it, so that whoever clears up knows without asking a server.
 * Once for each process and directory; not synced, since no process outlives a power cut. Where that fails nothing is known,
 * and the work itself will say what is wrong with the directory.
 * @param directory a path by way of its descriptor
 * @param key of the directory for good: another one may get the descriptor
 */
export function noteWorker(directory: string, key: string): void {
  if (noted.has(key)) return;
  const path = join(directory, `${PREFIX}${process.pid}`);
  try {
    // What is there is of an earlier process of that number, or of another thread of this one.
    fs.rmSync(path, { force: true });
    fs.writeFileSync(path, JSON.stringify(ownNote()), { mode: 0o600, flag: 'wx' });
    noted.add(key);
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
  }
}

/** Alive when any of those who left a note is, and ended only when all of them are known to be. */
export function workerOf(directory: string): WorkerState {
  const notes = fs.readdirSync(directory).filter((name) => name.startsWith(PREFIX)).map((name) => readNote(join(directory, name)));
  const states = notes.map((note) => (note === undefined ? 'unknown' : stateOf(note)));
  if (states.includes('alive')) return 'alive';
  return states.length > 0 && states.every((state) => state === 'ended') ? 'ended' : 'unknown';
}

function stateOf({ host, bootId, pidNamespace, pid, startTicks }: WorkerNote): WorkerState {
  const own = ownNote();
  if (bootId !== own.bootId) return host === own.host ? 'ended' : 'unknown';
  if (pidNamespace !== own.pidNamespace) return 'unknown';
  return startTicksOf(pid) === startTicks ? 'alive' : 'ended';
}

let ownNoteOnce: WorkerNote | undefined;

function ownNote(): WorkerNote {
  ownNoteOnce ??= {
    host: hostname(),
    bootId: textOf('/proc/sys/kernel/random/boot_id') ?? 'unknown',
    pidNamespace: linkOf('/proc/self/ns/pid'),
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? '',
  };
  return ownNoteOnce;
}

/** Undefined when no process has that number. Elsewhere than on Linux every one that is there counts as the one that is meant. */
function startTicksOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return isThere(pid) ? '' : undefined;
  const stat = textOf(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields === undefined || ['Z', 'X'].includes(fields[0] ?? '') ? undefined : fields[19];
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

function readNote(path: string): WorkerNote | undefined {
  try {
    const descriptor = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    try {
      if (!fs.fstatSync(descriptor).isFile()) return undefined;
      const buffer = Buffer.alloc(MAX_NOTE_BYTES);
      return parseNote(buffer.toString('utf8', 0, fs.readSync(descriptor, buffer)));
    } finally {
      fs.closeSync(descriptor);
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ELOOP', 'EACCES', 'ENXIO')) return undefined;
    throw error;
  }
}

/** Undefined for what is no note: then nothing is known. */
function parseNote(text: string): WorkerNote | undefined {
  try {
    const { host, bootId, pidNamespace, pid, startTicks } = parseJson(text) as Record<string, unknown>;
    const isNote = [host, bootId, pidNamespace, startTicks].every((field) => typeof field === 'string') && Number.isSafeInteger(pid) && Number(pid) > 0;
    return isNote ? ({ host, bootId, pidNamespace, pid, startTicks } as WorkerNote) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function textOf(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8').trim();
  } catch (error) {
    // The process ended between opening and reading.
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

function linkOf(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return 'unknown';
    throw error;
  }
}
