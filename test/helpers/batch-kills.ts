import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jsonLines, onTestServer, until, type CommandEnd, type RunningCommand, type Workplace } from '../cli/run-command';
import { freePort } from '../../src/server/ports';
import { targetOf, type BatchSources } from './batch-oracle';
import { killProcess, killTogether, processOf, serverProcess } from './kill-processes';
import { runNames, RunWatch } from './run-watch';
import type { SeededRandom } from './seeded-random';

/** A batch and how often something of it is killed. */
export interface KillScenario {
  readonly place: Workplace;
  readonly sources: BatchSources;
  readonly destination: string;
  readonly random: SeededRandom;
  readonly kills: number;
  readonly lanes: number;
}

/** What came of it. */
export interface KilledBatch {
  /** The record that the command printed. */
  readonly result: Record<string, unknown>;
  /** What was done twice without need. */
  readonly faults: readonly string[];
  /** A line for each kill. */
  readonly lines: readonly string[];
}

/** What is killed, and how it comes back. */
interface Victim {
  /** Chunks that are finished while it is away: those that a worker has begun, when it is not the victim. */
  readonly chunksMeanwhile: number;
  /** SIGKILL; resolves when it is dead. */
  kill(): Promise<void>;
  /** Starts what was killed. */
  restart(): Promise<void>;
  /** Resolves when the batch is over. */
  end(): Promise<CommandEnd>;
}

const OVER_WITHIN_MS = 120_000;
const POLL_MS = 2;

/** Files that a worker stages at most between the moment that was waited for and its death. */
const MOST_STAGED = 400;

/** Kills the worker of a batch that another process started and follows. */
export async function killWorkers(scenario: KillScenario): Promise<KilledBatch> {
  const { place, destination } = scenario;
  const taskQueue = `kill-${place.stateDirectory}`;
  const startWorker = (): RunningCommand => place.start(workerArguments(scenario, taskQueue), { env: onTestServer() });
  let worker = startWorker();
  const command = place.start([...batchArguments(scenario), '--task-queue', taskQueue], { env: onTestServer() });
  const batch = await killAgainAndAgain(scenario, new RunWatch(destination), {
    chunksMeanwhile: 0,
    kill: () => killProcess(worker),
    restart: () => Promise.resolve(void (worker = startWorker())),
    end: () => command.end,
  });
  await killProcess(worker);
  return batch;
}

/** Kills the embedded server, below a worker and a command that both go on; it is started again by the command that keeps it. */
export async function killServers(scenario: KillScenario): Promise<KilledBatch> {
  const { place, destination } = scenario;
  const taskQueue = `kill-${place.stateDirectory}`;
  const [port, uiPort] = await Promise.all([freePort(), freePort()]);
  const startServer = async (): Promise<RunningCommand> => {
    const server = place.start(['server', '--port', String(port), '--ui-port', String(uiPort), '--json']);
    await until(() => server.printed().includes('"server"'), `the server serves:\n${server.printed()}`);
    return server;
  };
  let server = await startServer();
  const env = { TEMPORAL_ADDRESS: `127.0.0.1:${port}` };
  const worker = place.start(workerArguments(scenario, taskQueue), { env });
  const { end, losses } = followAgain(() => place.start([...batchArguments(scenario), '--task-queue', taskQueue], { env }), scenario.kills);
  const batch = await killAgainAndAgain(scenario, new RunWatch(destination), {
    chunksMeanwhile: scenario.lanes,
    kill: async () => killTogether([serverProcess(place.stateDirectory), processOf(server)]),
    restart: async () => void (server = await startServer()),
    end: () => end,
  });
  await Promise.all([killProcess(worker), killTogether([serverProcess(place.stateDirectory), processOf(server)])]);
  return { ...batch, lines: [...batch.lines, ...losses] };
}

/** A command that loses its server for too long gives up, and is given again as its message says. */
function followAgain(start: () => RunningCommand, most: number): { readonly end: Promise<CommandEnd>; readonly losses: string[] } {
  const losses: string[] = [];
  const follow = async (): Promise<CommandEnd> => {
    const end = await start().end;
    if (end.code === 0 || losses.length >= most) return end;
    losses.push(`the command ended with ${end.code} and was given again: ${end.stderr.trim()}`);
    return follow();
  };
  return { end: follow(), losses };
}

/** Kills a command with the worker inside it and the embedded server that it started, and gives the same command again. */
export async function killEverything(scenario: KillScenario): Promise<KilledBatch> {
  const { place, destination } = scenario;
  let command = place.start(batchArguments(scenario));
  const operations: unknown[] = [];
  const startedLine = async (): Promise<Record<string, unknown>> => {
    await until(() => command.printed().includes('"started"'), `the command has started the batch:\n${command.printed()}`);
    return jsonLines(command.printed().slice(0, command.printed().lastIndexOf('\n') + 1))[0] ?? {};
  };
  const watch = new RunWatch(destination);
  const batch = await killAgainAndAgain(scenario, watch, {
    chunksMeanwhile: 0,
    kill: async () => {
      operations.push((await startedLine()).operationId);
      await killTogether([processOf(command), serverProcess(place.stateDirectory)]);
    },
    restart: async () => {
      command = place.start(batchArguments(scenario));
      expect(await startedLine()).toMatchObject({ messageType: 'started', operationId: operations[0], attached: true });
    },
    end: () => command.end,
  });
  await place.serverEnd();
  return batch;
}

/** Kills the embedded server below the command that has started it: the command gives up, and is given again. */
export async function killOwnServer(scenario: KillScenario): Promise<KilledBatch> {
  const { place, destination } = scenario;
  const losses: string[] = [];
  let command = place.start(batchArguments(scenario));
  const batch = await killAgainAndAgain(scenario, new RunWatch(destination), {
    chunksMeanwhile: scenario.lanes,
    kill: () => killTogether([serverProcess(place.stateDirectory)]),
    restart: async () => {
      const { code, stderr } = await command.end;
      losses.push(`ended with ${code}: ${stderr.trim()}`);
      command = place.start(batchArguments(scenario));
    },
    end: () => command.end,
  });
  await place.serverEnd();
  return { ...batch, lines: losses };
}

function batchArguments({ sources, destination, lanes }: KillScenario): string[] {
  return ['batch', '--files-from', sources.list, '--to', destination, '--lanes', String(lanes), '--json'];
}

function workerArguments({ place, sources, lanes }: KillScenario, taskQueue: string): string[] {
  return ['worker', '--source-root', dirname(sources.list), '--destination-root', place.directory, '--task-queue', taskQueue, '--concurrency', String(lanes), '--shutdown-grace', '0'];
}

/** Lets the batch come to a random moment, kills, looks at what is there, and lets it go on; at last lets it end. */
async function killAgainAndAgain(scenario: KillScenario, watch: RunWatch, victim: Victim): Promise<KilledBatch> {
  const lines: string[] = [];
  const faults: string[] = [];
  for (let kill = 1; kill <= scenario.kills; kill += 1) {
    const moment = chooseMoment(scenario, watch.journals().length, kill, victim.chunksMeanwhile);
    await comeTo(moment, scenario, watch, victim);
    const repeats = watch.repeats();
    await victim.kill();
    const { doneChunks, inFlight } = watch.look();
    faults.push(...watch.doneTwice({ isOver: false }));
    lines.push(`kill ${kill}, ${moment.title}: ${doneChunks} chunks done, ${inFlight.length} under way, ${repeats} done again so far`);
    expect(inFlight.length).toBeLessThanOrEqual(scenario.lanes);
    await victim.restart();
  }
  const end = await whileWatched(watch, victim.end());
  faults.push(...watch.doneTwice({ isOver: true }), ...watch.needlessRepeats());
  lines.push(`at the end: ${watch.repeats()} chunks done again`);
  const result = jsonLines(end.stdout).at(-1) ?? {};
  if (end.code !== 0) throw new Error(`The command ended with ${end.code}:\n${end.stdout}${end.stderr}\n${lines.join('\n')}`);
  return { result, faults, lines };
}

/** A moment in the life of a process, by what can be seen of the run. */
interface Moment {
  readonly title: string;
  readonly kind: 'planning' | 'staging' | 'publishing' | 'journaled';
  /** So many more chunks are done first. */
  readonly chunks: number;
  /** Further files that are staged then. */
  readonly staged: number;
}

/** Spreads the kills over the batch, so that none of them finds it over. */
function chooseMoment({ random, sources, kills, lanes }: KillScenario, doneChunks: number, kill: number, chunksMeanwhile: number): Moment {
  const staged = random.whole(1, MOST_STAGED);
  if (kill === 1 && kills > 1) return { title: 'while it plans', kind: 'planning', chunks: 0, staged };
  const left = kills - kill + 1;
  const spare = Math.max(0, Math.ceil(sources.paths.length / runNames.chunkFiles) - doneChunks - lanes - left * chunksMeanwhile);
  const chunks = Math.floor(spare / left + random.next());
  const kind = spare === 0 ? 'staging' : random.pick(['staging', 'publishing', ...(chunks > 0 ? (['journaled'] as const) : [])] as const);
  const what = { staging: `when ${staged} more files are staged`, publishing: 'while it publishes', journaled: 'when a chunk is done' }[kind];
  return { title: `${what}, ${chunks} chunks later`, kind, chunks: Math.min(chunks, spare), staged };
}

async function comeTo({ kind, chunks, staged }: Moment, { sources, destination, random, lanes }: KillScenario, watch: RunWatch, victim: Victim): Promise<void> {
  let ended: CommandEnd | undefined;
  void victim.end().then((end) => (ended = end));
  const reach = async (what: string, condition: () => boolean): Promise<void> => {
    const deadline = Date.now() + OVER_WITHIN_MS;
    for (; !condition(); await delay(POLL_MS)) {
      if (ended !== undefined) throw new Error(`The batch was over before ${what}:\n${ended.stdout}${ended.stderr}`);
      if (Date.now() > deadline) throw new Error(`It did not come to ${what}`);
    }
  };
  if (kind === 'planning') return reach('the run has its directory', () => watch.directory() !== undefined);
  const doneBefore = watch.journals().length;
  await reach(`${chunks} more chunks are done`, () => watch.journals().length >= doneBefore + chunks);
  if (kind === 'journaled') return;
  // What a dead attempt has staged stays there, and is no progress.
  const stagedNow = stagedCounter(watch);
  if (kind === 'staging') return reach(`${staged} more files are staged`, () => stagedNow() >= staged);
  const done = watch.journals().length;
  const target = targetOf(destination, sources.paths[Math.min(sources.paths.length - 1, done * runNames.chunkFiles + random.whole(0, lanes * runNames.chunkFiles))] ?? '');
  const inode = inodeOf(target);
  return reach(`${target} is published`, () => inodeOf(target) !== inode || watch.journals().length > done);
}

/** Counts files that are staged from now on, over all attempts, those that are over by now included. */
function stagedCounter(watch: RunWatch): () => number {
  const before = new Map(watch.attempts().map((attempt) => [attempt, watch.staged(attempt)]));
  const most = new Map<string, number>();
  return () => {
    for (const attempt of watch.attempts()) most.set(attempt, Math.max(most.get(attempt) ?? 0, watch.staged(attempt) - (before.get(attempt) ?? 0)));
    return [...most.values()].reduce((sum, count) => sum + count, 0);
  };
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** Waits for the end of a batch and sees every attempt meanwhile. */
async function whileWatched(watch: RunWatch, end: Promise<CommandEnd>): Promise<CommandEnd> {
  let isOver = false;
  void end.then(() => (isOver = true));
  for (const deadline = Date.now() + OVER_WITHIN_MS; !isOver && Date.now() < deadline; await delay(POLL_MS)) watch.attempts();
  if (!isOver) throw new Error('The batch did not end');
  return end;
}
