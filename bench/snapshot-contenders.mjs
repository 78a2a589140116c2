import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkPrinted, checkSameTree, countFiles } from './check.mjs';
import { COMMAND } from './project.mjs';
import { runCommand } from './run-command.mjs';
import { rewrite, someOf, warmDirectory } from './source-tree.mjs';
import { pause } from './waiting.mjs';

const CHANGED_SHARE = 0.01;
/** Longer ago than any contender takes for "just now". */
const AFTER_CHANGE_MS = 1500;

/**
 * Snapshots of a tree, and their restore, beside other tools. Each contender has a repository of its own in every round,
 * and what it has to find there (the first snapshot of two) is made before its time is taken. The embedded server is up
 * when a command of this project starts, as for the other cases.
 */
export function snapshotContests(tools, service, { seed }) {
  const own = ownSnapshots(service);
  const restic = resticSnapshots(tools);
  const changes = changesOf(seed);
  return {
    'snapshot-first': { ours: 'command', contenders: [own.first(), restic.first(), rsyncFirst(tools)] },
    'snapshot-unchanged': { ours: 'command', contenders: [own.second(nothing), restic.second(nothing), rsyncSecond(tools, nothing), linkedCopy(tools, nothing)] },
    'snapshot-changed': { ours: 'command', contenders: [own.second(changes), restic.second(changes), rsyncSecond(tools, changes), linkedCopy(tools, changes)] },
    restore: { ours: 'command', contenders: [own.restore(), restic.restore()] },
  };
}

const nothing = { paths: () => [], make: () => undefined };

/** The same few files every time, each time with other bytes. */
function changesOf(seed) {
  let times = 0;
  const paths = (source) => someOf(source, CHANGED_SHARE, seed);
  return {
    paths,
    async make(source) {
      times += 1;
      rewrite(paths(source), seed + times * 1000);
      await pause(AFTER_CHANGE_MS);
    },
  };
}

function ownSnapshots(service) {
  const repositoryOf = (destination) => join(destination, 'repository');
  const restoredTo = (destination) => join(destination, 'restored');
  const command = async (...args) => {
    const [server] = await service.get();
    const said = await runCommand(process.execPath, [COMMAND, ...args, '--json'], { env: { FILE_BACKUP_STATE_DIR: server.stateDirectory } });
    return said.trim().split('\n').map((line) => JSON.parse(line)).at(-1);
  };
  const init = async ({ destination }) => {
    // The server is up before the first time is taken.
    await service.get();
    await runCommand(process.execPath, [COMMAND, 'init', repositoryOf(destination)]);
  };
  const snapshot = async ({ source, destination }, expected) => {
    const result = await command('snapshot', '--to', repositoryOf(destination), source.directory);
    requireFields(result, { status: 'complete', files: source.paths.length, ...expected });
  };
  const firstSnapshot = (place) => snapshot(place, { newFiles: place.source.paths.length, unchangedFiles: 0, verifiedFrom: 'device' });
  // Of what was not copied nothing is read back.
  const secondSnapshot = (place, changed) => snapshot(place, { newFiles: 0, unchangedFiles: place.source.paths.length - changed, verifiedFrom: changed === 0 ? null : 'device' });
  const prepareSecond = async (place, changes) => {
    await init(place);
    await firstSnapshot(place);
    await changes.make(place.source);
    warmDirectory(place.destination);
  };
  return {
    first: () => ({ key: 'command', title: '`file-backup snapshot`, verified from the device and durable', prepare: init, run: firstSnapshot, check: (place) => checkOwn(place, repositoryOf(place.destination)) }),
    second: (changes) => ({
      key: 'command',
      title: '`file-backup snapshot`, verified from the device and durable',
      prepare: (place) => prepareSecond(place, changes),
      run: (place) => secondSnapshot(place, changes.paths(place.source).length),
      check: (place) => checkOwn(place, repositoryOf(place.destination)),
    }),
    restore: () => ({
      key: 'command',
      title: '`file-backup restore`, verified from the device and durable',
      async prepare(place) {
        await prepareSecond(place, nothing);
        mkdirSync(restoredTo(place.destination));
      },
      async run({ destination }) {
        requireFields(await command('restore', repositoryOf(destination), 'latest', '--to', restoredTo(destination)), { success: true, failedEntries: 0, verifiedFrom: 'device' });
      },
      check: ({ source, destination }) => checkSameTree(source, join(restoredTo(destination), source.directory)),
    }),
  };
}

/** The newest snapshot by its own list of sums, and against the source. */
async function checkOwn({ source }, repository) {
  const snapshot = join(repository, readdirSync(repository).filter((name) => !name.startsWith('.')).sort().at(-1));
  await runCommand('sha256sum', ['--quiet', '--strict', '-c', 'SHA256SUMS'], { cwd: snapshot });
  checkSameTree(source, join(snapshot, 'data', source.directory));
}

function requireFields(found, expected) {
  for (const [name, value] of Object.entries(expected)) if (found[name] !== value) throw new Error(`${name} is ${found[name]}, and not ${value}: ${JSON.stringify(found).slice(0, 500)}`);
}

function resticSnapshots(tools) {
  const missing = () => tools.restic.missing;
  const restoredTo = (destination) => join(destination, 'restored');
  const environmentOf = (destination) => ({ RESTIC_REPOSITORY: join(destination, 'repository'), RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(destination, 'cache') });
  const restic = (destination, args, options = {}) => runCommand(tools.restic.path, [...args, '--quiet'], { ...options, env: environmentOf(destination) });
  const init = async ({ destination }) => void (await restic(destination, ['init']));
  const backUp = async ({ source, destination }) => void (await restic(destination, ['backup', '.'], { cwd: source.directory }));
  const prepareSecond = async (place, changes) => {
    await init(place);
    await backUp(place);
    await changes.make(place.source);
    warmDirectory(place.destination);
  };
  const check = async ({ source, destination, sample }, changed = []) => {
    const listed = await restic(destination, ['ls', '--json', 'latest']);
    const found = listed.split('\n').filter((line) => line.includes('"type":"file"')).length;
    if (found !== source.paths.length) throw new Error(`restic has ${found} files of ${source.paths.length}`);
    const few = [...sample.slice(0, 3), ...changed.slice(0, 3)];
    await checkPrinted(few, (path) => runCommand('sh', ['-c', '"$0" dump --quiet latest "$1" | sha256sum', tools.restic.path, path.slice(source.directory.length)], { env: environmentOf(destination) }));
  };
  return {
    first: () => ({
      key: 'restic',
      title: '`restic backup` + `restic check --read-data` (from the cache)',
      missing,
      prepare: init,
      async run(place) {
        await backUp(place);
        await restic(place.destination, ['check', '--read-data']);
      },
      check,
    }),
    second: (changes) => ({
      key: 'restic',
      title: '`restic backup` (not verified)',
      missing,
      prepare: (place) => prepareSecond(place, changes),
      run: backUp,
      check: (place) => check(place, changes.paths(place.source)),
    }),
    restore: () => ({
      key: 'restic',
      title: '`restic restore` + `sync -f`',
      missing,
      prepare: (place) => prepareSecond(place, nothing),
      async run({ destination }) {
        await restic(destination, ['restore', 'latest', '--target', restoredTo(destination)]);
        const restoredMs = performance.now();
        await runCommand('sync', ['-f', restoredTo(destination)]);
        return { without: { key: 'restic-unsynced', title: '`restic restore` (not synced)', ms: performance.now() - restoredMs } };
      },
      check: ({ source, destination }) => checkSameTree(source, restoredTo(destination)),
    }),
  };
}

const firstOf = (destination) => join(destination, 'first');
const secondOf = (destination) => join(destination, 'second');

function rsync(tools, ...args) {
  return runCommand(tools.rsync.path, ['-a', ...args]);
}

function rsyncFirst(tools) {
  return {
    key: 'rsync',
    title: '`rsync -a` + `sync -f` (not verified)',
    missing: () => tools.rsync.missing,
    async run({ source, destination }) {
      await rsync(tools, `${source.directory}/`, `${destination}/`);
      await runCommand('sync', ['-f', destination]);
    },
    check: ({ source, destination }) => checkSameTree(source, destination),
  };
}

function rsyncSecond(tools, changes) {
  return {
    key: 'rsync',
    title: '`rsync -a --link-dest` (neither synced nor verified)',
    missing: () => tools.rsync.missing,
    prepare: (place) => prepareCopy(tools, place, changes),
    run: async ({ source, destination }) => void (await rsync(tools, `--link-dest=${firstOf(destination)}`, `${source.directory}/`, `${secondOf(destination)}/`)),
    check: ({ source, destination }) => checkSameTree(source, secondOf(destination)),
  };
}

/** What links and directories cost alone: nobody looks at the source, so that what has changed there is missed. */
function linkedCopy(tools, changes) {
  return {
    key: 'cp',
    title: '`cp -al` of the first (looks at no source; neither synced nor verified)',
    missing: () => tools.cp.missing ?? tools.rsync.missing,
    prepare: (place) => prepareCopy(tools, place, changes),
    run: async ({ destination }) => void (await runCommand(tools.cp.path, ['-al', firstOf(destination), secondOf(destination)])),
    check({ source, destination }) {
      const found = countFiles(secondOf(destination));
      if (found !== source.paths.length) throw new Error(`${secondOf(destination)} has ${found} files of ${source.paths.length}`);
    },
  };
}

async function prepareCopy(tools, { source, destination }, changes) {
  await rsync(tools, `${source.directory}/`, `${firstOf(destination)}/`);
  await changes.make(source);
  warmDirectory(destination);
}
