// Preloaded into a worker process (node --require) that reads FAULTS: a JSON file of faults by target path, and for the
// steps of runs of many files by the directory that gets their targets, or the repository. A fault says
// at which file system call of which step it happens, and what then: `block` stops the thread there for ever, so that
// the test can kill the process with every thread exactly where it should be; `kill` ends the process at once; `append`
// lets a file grow; any other action is the name of an error to throw. Each happens once.
'use strict';
const fs = require('node:fs');
const { constants } = require('node:os');
const { join } = require('node:path');
const { isMainThread } = require('node:worker_threads');

/** Calls that change something, and the reads that lie between them. */
const CALLS = ['mkdirSync', 'linkSync', 'renameSync', 'unlinkSync', 'rmdirSync', 'rmSync', 'openSync', 'writeSync', 'writeFileSync', 'fsyncSync', 'readSync', 'readdirSync', 'chmodSync', 'fchmodSync', 'symlinkSync', 'statfsSync'];

const original = Object.fromEntries([...CALLS, 'readlinkSync', 'readFileSync'].map((name) => [name, fs[name]]));
const { faults, reached } = JSON.parse(original.readFileSync(process.env.FAULTS, 'utf8'));

/** The faults of what runs in this thread right now. */
let current = isMainThread ? (faults.main ?? []).map(unseen) : [];

for (const name of CALLS) fs[name] = (...args) => atCall(name, args);
if (!isMainThread) watchSteps(require('../../lib/thread-bundle.js').steps);

/** Every step of a thread begins and ends here. */
function watchSteps(steps) {
  for (const [name, run] of Object.entries(steps)) {
    steps[name] = (input, control) => {
      current = (faults[placeOf(input)] ?? []).filter(({ step }) => step === name).map(unseen);
      happen(current.filter(({ call, when }) => call === undefined && when === 'before'));
      const result = run(input, control);
      happen(current.filter(({ call, when }) => call === undefined && when === 'after'));
      current = [];
      return result;
    };
  }
}

function placeOf({ location, targetPath, settings, task, repository }) {
  const { targetPath: path = targetPath, destination } = location ?? settings?.location ?? task?.settings.location ?? {};
  return path ?? destination ?? repository;
}

function atCall(name, args) {
  const mine = current.filter(({ call, path }) => call === name && (path === undefined || args.some((arg) => realPath(arg).includes(path))));
  for (const fault of mine) fault.seen += 1;
  const due = mine.filter(({ nth, seen }) => nth === seen);
  happen(due.filter(({ when }) => when === 'before'));
  const result = original[name](...args);
  happen(due.filter(({ when }) => when === 'after'));
  return result;
}

function unseen(fault) {
  return { ...fault, seen: 0 };
}

/** Entries are named through descriptors: /proc/self/fd/7/name. */
function realPath(arg) {
  const [, descriptor, rest] = typeof arg === 'number' ? ['', String(arg), ''] : (/^\/proc\/self\/fd\/(\d+)(.*)$/.exec(String(arg)) ?? []);
  if (descriptor === undefined) return String(arg);
  try {
    return original.readlinkSync(`/proc/self/fd/${descriptor}`) + rest;
  } catch {
    // Not a descriptor: some other number among the arguments.
    return String(arg);
  }
}

function happen(due) {
  for (const fault of due) if (isFirst(fault)) act(fault);
}

/** Across all threads: a step may be repeated in another one. */
function isFirst({ id }) {
  try {
    original.writeFileSync(join(reached, id), '', { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function act({ action, file }) {
  if (action === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  else if (action === 'kill') process.kill(process.pid, 'SIGKILL');
  else if (action === 'append') original.writeFileSync(file, 'grown', { flag: 'a' });
  else throw Object.assign(new Error(`${action}: as the test wants it`), { code: action, errno: -constants.errno[action], syscall: 'test' });
}
