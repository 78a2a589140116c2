import { spawnSync } from 'node:child_process';
import { parseObject, readIfPresent } from './files';
import { codeOf } from './errors';

/** One process for good: a pid is recycled, a pid with the moment its process started is not. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

/** Who runs under this pid now; undefined when nobody does, or only a zombie that nobody has waited for yet. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** The identity of the process that runs this code. */
export function ownIdentity(): ProcessIdentity {
  const identity = identifyProcess(process.pid);
  if (!identity) throw new Error(`Process ${process.pid} cannot find out its own start time`);
  return identity;
}

/** Whether exactly this process still runs. */
export function isAlive({ pid, startedAt }: ProcessIdentity): boolean {
  return identifyProcess(pid)?.startedAt === startedAt;
}

/** Reads an identity from an untrusted value, such as a file's content. */
export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  const { pid, startedAt } = (typeof value === 'string' ? parseObject(value) : (value as Record<string, unknown> | undefined)) ?? {};
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0 || typeof startedAt !== 'string') return undefined;
  return { pid, startedAt };
}

function startOnLinux(pid: number): string | undefined {
  let stat: string | undefined;
  try {
    stat = readIfPresent(`/proc/${pid}/stat`);
  } catch (error) {
    // The process ended between open and read.
    if (codeOf(error) !== 'ESRCH') throw error;
  }
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields?.[0];
  if (!fields || state === 'Z' || state === 'X') return undefined;
  // Field 22 counts clock ticks since boot, so that only boot and ticks together are unique.
  return `${bootId()}/${fields[19]}`;
}

let knownBootId: string | undefined;

function bootId(): string {
  knownBootId ??= readIfPresent('/proc/sys/kernel/random/boot_id')?.trim() ?? 'unknown';
  return knownBootId;
}

function startByPs(pid: number): string | undefined {
  const { stdout, status } = spawnSync('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  const [state, ...start] = stdout?.trim().split(/\s+/) ?? [];
  return status === 0 && state && !state.startsWith('Z') ? start.join(' ') : undefined;
}
