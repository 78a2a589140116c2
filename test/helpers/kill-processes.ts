import { join } from 'node:path';
import { until, type RunningCommand } from '../cli/run-command';
import { identifyProcess, isAlive, type ProcessIdentity } from '../../src/server/process-identity';
import { readRecord } from '../../src/server/record';

/** SIGKILL; resolves when it is dead. */
export async function killProcess(command: RunningCommand): Promise<void> {
  command.child.kill('SIGKILL');
  await command.end;
}

export function processOf({ child }: RunningCommand): ProcessIdentity {
  const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
  if (identity === undefined) throw new Error('The process is gone already');
  return identity;
}

/** The embedded server of a state directory, by its own record. */
export function serverProcess(stateDirectory: string): ProcessIdentity {
  const record = readRecord(join(stateDirectory, 'server.json'));
  if (typeof record !== 'object') throw new Error('There is no server on record');
  return record.process;
}

/** In the same instant: nothing runs between the signals. */
export async function killTogether(processes: readonly ProcessIdentity[]): Promise<void> {
  for (const { pid } of processes) process.kill(pid, 'SIGKILL');
  for (const each of processes) await until(() => !isAlive(each), `process ${each.pid} is gone`);
}
