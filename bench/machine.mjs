import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** The machine, for the line above a table. */
export function describeMachine(directory, tools, temporalVersion) {
  const versions = Object.entries(tools).flatMap(([name, { version }]) => (version === undefined ? [] : [`${name} ${version}`]));
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`;
  return [
    `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, ${memory} of memory, ${fileSystemOf(directory)}, Linux ${release()}`,
    `Node ${process.versions.node}, ${temporalVersion}, ${[...new Set(versions)].join(', ')}`,
  ].join('; ');
}

function fileSystemOf(directory) {
  try {
    const [, type, options] = /^(\S+) (\S+)$/m.exec(execFileSync('findmnt', ['-n', '-o', 'FSTYPE,OPTIONS', '-T', directory], { encoding: 'utf8' }).trim().replace(/ +/g, ' ')) ?? [];
    return `${type} (${options})`;
  } catch {
    return `file system unknown`;
  }
}

/** Peak resident memory of a process in MiB, since it started. */
export function peakMemoryMib(processId) {
  const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${processId}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
