import type { CommandUnknownOpts } from '@commander-js/extra-typings';

/** The commands in the order in which the help lists them. Each is loaded when it is called, so that none waits for what only others need. */
const loaders: Readonly<Record<string, () => Promise<CommandUnknownOpts>>> = {
  file: async () => (await import('./commands/file.js')).fileCommand,
  batch: async () => (await import('./commands/batch.js')).batchCommand,
  init: async () => (await import('./commands/init.js')).initCommand,
  snapshot: async () => (await import('./commands/snapshot.js')).snapshotCommand,
  snapshots: async () => (await import('./commands/snapshots.js')).snapshotsCommand,
  ls: async () => (await import('./commands/ls.js')).lsCommand,
  diff: async () => (await import('./commands/diff.js')).diffCommand,
  restore: async () => (await import('./commands/restore.js')).restoreCommand,
  check: async () => (await import('./commands/check.js')).checkCommand,
  prune: async () => (await import('./commands/prune.js')).pruneCommand,
  schedule: async () => (await import('./commands/schedule.js')).scheduleCommand,
  runs: async () => (await import('./commands/runs.js')).runsCommand,
  status: async () => (await import('./commands/status.js')).statusCommand,
  pause: async () => (await import('./commands/pause.js')).pauseCommand,
  resume: async () => (await import('./commands/pause.js')).resumeCommand,
  cancel: async () => (await import('./commands/cancel.js')).cancelCommand,
  stats: async () => (await import('./commands/stats.js')).statsCommand,
  worker: async () => (await import('./commands/worker.js')).workerCommand,
  server: async () => (await import('./commands/server.js')).serverCommandLine,
  'codec-server': async () => (await import('./commands/codec-server.js')).codecServerCommand,
};

/** The command that the first word names; all of them when it names none, as for the help and for what is mistyped; none for the version. */
export async function commandsFor(firstWord: string | undefined): Promise<CommandUnknownOpts[]> {
  if (firstWord === '--version' || firstWord === '-V') return [];
  const called = firstWord !== undefined && Object.hasOwn(loaders, firstWord) ? loaders[firstWord] : undefined;
  return await Promise.all((called === undefined ? Object.values(loaders) : [called]).map((load) => load()));
}
