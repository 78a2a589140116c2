import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';
import { checkPrinted } from './check.mjs';

/** Other people's tools, each with what makes its copy verified where it can. */
export function toolContenders(workplace, tools) {
  return [
    { key: 'rsync', title: '`rsync -a` (neither synced nor verified)', ...plainly('rsync', tools, (source, target) => ['-a', `${source}/`, `${target}/`]) },
    { key: 'rsync-fsync', title: '`rsync -a --fsync` (not verified)', ...plainly('rsync', tools, (source, target) => ['-a', '--fsync', `${source}/`, `${target}/`]) },
    { key: 'cp', title: '`cp -a` + `sync -f` + `sha256sum -c` (from the cache), with the making of the list of sums', ...copyAndSum(workplace, tools) },
    { key: 'rclone', title: '`rclone copy` + `rclone check --download` (not synced, from the cache)', ...rclone(workplace, tools) },
    { key: 'restic', title: '`restic backup` + `restic check --read-data` (from the cache)', ...restic(workplace, tools) },
  ];
}

const copies = ({ destination }) => destination;

function plainly(program, tools, argumentsOf) {
  return {
    missing: () => tools[program].missing,
    copies,
    run: async ({ source, destination }) => void (await runCommand(tools[program].path, argumentsOf(source.directory, destination))),
  };
}

function copyAndSum(workplace, tools) {
  return {
    missing: () => tools.cp.missing ?? tools.sha256sum.missing,
    copies,
    async run({ source, destination, name }) {
      const startMs = performance.now();
      const sums = join(workplace.directory, `sums-${name}`);
      const output = openSync(sums, 'w');
      await runCommand('sh', ['-c', 'find . -type f -print0 | xargs -0 sha256sum'], { cwd: source.directory, outputTo: output });
      closeSync(output);
      const summedMs = performance.now() - startMs;
      await runCommand('cp', ['-a', `${source.directory}/.`, destination]);
      await runCommand('sync', ['-f', destination]);
      await runCommand('sha256sum', ['--quiet', '-c', sums], { cwd: destination });
      return { without: { title: '`cp -a` + `sync -f` + `sha256sum -c`, where the list of sums is there already', key: 'cp-listed', ms: summedMs } };
    },
  };
}

function rclone(workplace, tools) {
  const env = { RCLONE_CONFIG: join(workplace.directory, 'rclone.conf') };
  return {
    missing: () => tools.rclone.missing,
    copies,
    async run({ source, destination }) {
      await runCommand(tools.rclone.path, ['copy', source.directory, destination], { env });
      await runCommand(tools.rclone.path, ['check', '--download', source.directory, destination], { env });
    },
  };
}

function restic(workplace, tools) {
  const envOf = (destination) => ({ RESTIC_REPOSITORY: join(destination, 'repository'), RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: workplace.folder('restic-cache') });
  return {
    missing: () => tools.restic.missing,
    prepare: async ({ destination }) => void (await runCommand(tools.restic.path, ['init'], { env: envOf(destination) })),
    async run({ source, destination }) {
      await runCommand(tools.restic.path, ['backup', '--quiet', '.'], { env: envOf(destination), cwd: source.directory });
      await runCommand(tools.restic.path, ['check', '--quiet', '--read-data'], { env: envOf(destination) });
    },
    /** A repository holds no plain files: counted and compared through the tool itself. */
    async check({ source, destination, sample }) {
      const env = envOf(destination);
      const listed = await runCommand(tools.restic.path, ['ls', '--json', 'latest'], { env });
      const found = listed.split('\n').filter((line) => line.includes('"type":"file"')).length;
      if (found !== source.paths.length) throw new Error(`restic has ${found} files of ${source.paths.length}`);
      const few = sample.slice(0, 3);
      await checkPrinted(few, (path) => runCommand('sh', ['-c', '"$0" dump --quiet latest "$1" | sha256sum', tools.restic.path, path.slice(source.directory.length)], { env }));
    },
  };
}
