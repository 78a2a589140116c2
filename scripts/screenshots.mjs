// Makes docs/images/: a finished and a rolled-back backup, a snapshot and a batch under way as the Web UI shows them, from real runs on an embedded
// server in a temporary folder. Needs a Chromium: CHROMIUM_PATH, or Debian's, which it installs where it may.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ensureBuilt, ensureInstalled, root } from './setup.mjs';

ensureInstalled();
ensureBuilt();
const { chromium } = await import('playwright-core');

const folder = mkdtempSync(join(tmpdir(), 'file-backup-screenshots-'));
const images = join(root, 'docs', 'images');
const environment = { ...process.env, FILE_BACKUP_STATE_DIR: join(folder, 'state') };
const command = join(root, 'lib', 'cli', 'main.js');
const QUEUE = 'screenshots';
const demo = '/tmp/file-backup-demo';
mkdirSync(join(demo, 'documents'), { recursive: true });
mkdirSync(join(demo, 'backups'), { recursive: true });

try {
  mkdirSync(images, { recursive: true });
  const server = await start('server', '--json');
  const worker = await start('worker', '--source-root', demo, '--destination-root', demo, '--task-queue', QUEUE, '--address', server.first.address);
  try {
    environment.FILE_BACKUP_UI_ADDRESS = server.first.webUi;
    environment.TEMPORAL_ADDRESS = server.first.address;
    const finished = finishedRun();
    const rolledBack = await rolledBackRun();
    const snapshot = finishedSnapshot();
    const batch = await runningBatch();
    await takePictures({
      'finished-run': `${finished}/timeline`,
      'rolled-back-run': `${rolledBack}/timeline`,
      'finished-run-details': `${finished}/user-metadata`,
      'snapshot-run': `${snapshot}/timeline`,
      'batch-details': `${batch.webUi}/user-metadata`,
    });
    await batch.end();
  } finally {
    await stop(worker);
    await stop(server);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
  rmSync(demo, { recursive: true, force: true });
}

/** Starts a long-lived command and waits for its first line: a result, or a line of the worker's log. */
async function start(...argv) {
  const child = spawn(process.execPath, [command, ...argv], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const first = await new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).once('line', resolve);
    child.once('exit', () => reject(new Error(`file-backup ${argv[0]} ended`)));
  });
  return { child, first: JSON.parse(first) };
}

async function stop({ child }) {
  child.kill('SIGINT');
  await once(child, 'exit');
}

function finishedRun() {
  writeFileSync(join(demo, 'documents', 'report.pdf'), Buffer.alloc(3_400_000, 'report'));
  return lastLine(run('file', join(demo, 'documents', 'report.pdf'), join(demo, 'backups', 'report.pdf'), '--task-queue', QUEUE, '--json')).webUi;
}

/** A copy of a large file over an existing one, cancelled on the way: undone, and the previous copy is still there. */
async function rolledBackRun() {
  const source = join(demo, 'documents', 'video.mkv');
  writeFileSync(source, '');
  truncateSync(source, 64 * 1024 ** 3);
  writeFileSync(join(demo, 'backups', 'video.mkv'), 'the previous copy\n');
  // More than is free, were it not sparse: reading zeros takes long enough to be cancelled.
  const backup = spawn(process.execPath, [command, 'file', source, join(demo, 'backups', 'video.mkv'), '--task-queue', QUEUE, '--json'], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let cancelled = false;
  for await (const chunk of backup.stdout) {
    output += chunk;
    if (cancelled || !output.includes('"stageFile"')) continue;
    cancelled = true;
    run('cancel', JSON.parse(output.split('\n')[0]).operationId);
  }
  return lastLine(output).webUi;
}

/** The second snapshot of a few thousand files. */
function finishedSnapshot() {
  const [letters, repository] = [join(demo, 'letters'), join(demo, 'repository')];
  mkdirSync(letters);
  for (let index = 0; index < 5000; index += 1) writeFileSync(join(letters, `letter-${index}.txt`), `Dear ${index}`);
  run('init', repository);
  const take = () => lastLine(run('snapshot', letters, '--to', repository, '--task-queue', QUEUE, '--json'));
  take();
  writeFileSync(join(letters, 'letter-0.txt'), 'Dear all');
  return take().webUi;
}

/** A batch that is paused half way, so that its picture holds still. */
async function runningBatch() {
  const photos = join(demo, 'photos');
  mkdirSync(photos);
  const names = Array.from({ length: 20_000 }, (_, index) => join(photos, `photo-${String(index).padStart(5, '0')}.jpg`));
  names.forEach((name, index) => writeFileSync(name, Buffer.alloc(1000 + (index % 3000), name)));
  const list = join(demo, 'list');
  writeFileSync(list, [...names, join(photos, 'deleted.jpg')].reverse().join('\n'));
  const batch = spawn(process.execPath, [command, 'batch', '--files-from', list, '--to', join(demo, 'backups'), '--task-queue', QUEUE, '--json', '--lanes', '2'], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  for await (const chunk of batch.stdout) {
    output += chunk;
    if (/"doneFiles":[1-9]/.test(output)) break;
  }
  const { operationId } = JSON.parse(output.split('\n')[0]);
  run('pause', operationId);
  const end = async () => {
    run('cancel', operationId);
    await once(batch, 'exit');
  };
  return { webUi: JSON.parse(run('status', operationId, '--json')).webUi, end };
}

function run(...argv) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [command, ...argv], { env: environment, encoding: 'utf8' });
  if (status !== 0) throw new Error(`file-backup ${argv.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

function lastLine(output) {
  return JSON.parse(output.trim().split('\n').at(-1));
}

async function takePictures(pages) {
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1440, height: 960 } });
    for (const [name, address] of Object.entries(pages)) {
      await page.goto(address, { waitUntil: 'load' });
      // The page of a run under way never stops asking.
      await page.waitForLoadState('networkidle', { timeout: 8000 }).catch(() => undefined);
      await page.screenshot({ path: join(images, `${name}.png`) });
      console.error(`docs/images/${name}.png`);
    }
  } finally {
    await browser.close();
  }
}

function chromiumPath() {
  const path = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
  if (!existsSync(path) && process.getuid?.() === 0) spawnSync('apt-get', ['install', '-y', '-q', 'chromium'], { stdio: 'inherit' });
  if (!existsSync(path)) throw new Error(`No Chromium at ${path}: install it, or name one with CHROMIUM_PATH`);
  return path;
}
