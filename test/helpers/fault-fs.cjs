// Preloaded into a process (node --require): one file system call of it, or of a thread of it, is the last one, or fails.
//   FILE_BACKUP_FAULT_KILL=renameSync:2         kills the process just before the second renameSync
//   FILE_BACKUP_FAULT_KILL=renameSync:2:after   kills it just after that
//   FILE_BACKUP_FAULT_ERROR=fsyncSync:1:EIO     throws that error instead of the first fsyncSync, once
//   FILE_BACKUP_FAULT_PATH=/target              counts only calls about paths that contain this; default .file-backup-
// Only the synchronous functions of node:fs, and each thread counts for itself: use one thread where the count matters.
// The process that is started next, without these variables, is not disturbed.
'use strict';
const fs = require('node:fs');
const { constants } = require('node:os');

const { FILE_BACKUP_FAULT_KILL: kill, FILE_BACKUP_FAULT_ERROR: error, FILE_BACKUP_FAULT_PATH: wanted = '.file-backup-' } = process.env;
const { readlinkSync } = fs;

if (kill) {
  const [name, nth, when = 'before'] = kill.split(':');
  if (when !== 'before' && when !== 'after') throw new Error(`FILE_BACKUP_FAULT_KILL: "${when}" is neither before nor after`);
  const die = () => process.kill(process.pid, 'SIGKILL');
  onNth(name, nth, (call) => {
    if (when === 'after') call();
    die();
  });
}

if (error) {
  const [name, nth, code] = error.split(':');
  const errno = constants.errno[code];
  if (errno === undefined) throw new Error(`FILE_BACKUP_FAULT_ERROR: this system knows no ${code}`);
  onNth(name, nth, () => {
    throw Object.assign(new Error(`${code}: as the test wants it, ${name}`), { code, errno: -errno, syscall: name.replace(/Sync$/, '') });
  });
}

/** Replaces the n-th call of a function that is about a wanted path. */
function onNth(name, nth, act) {
  const original = fs[name];
  if (typeof original !== 'function' || !name.endsWith('Sync')) throw new Error(`node:fs has no synchronous function ${name}`);
  if (!(Number(nth) >= 1)) throw new Error(`${name}: "${nth}" is no number of a call`);
  let count = 0;
  const replacement = (...args) => {
    const call = () => original(...args);
    if (!args.slice(0, 2).some(isWanted)) return call();
    count += 1;
    return count === Number(nth) ? act(call) : call();
  };
  fs[name] = Object.assign(replacement, original);
}

/** Paths and descriptors are both looked up: entries are named through descriptors, as /proc/self/fd/7/name. */
function isWanted(argument) {
  return pathOf(argument).includes(wanted);
}

function pathOf(argument) {
  if (typeof argument === 'number') return linkOf(argument);
  if (typeof argument !== 'string' && !Buffer.isBuffer(argument) && !(argument instanceof URL)) return '';
  return String(argument).replace(/^\/proc\/self\/fd\/(\d+)/, (whole, descriptor) => linkOf(descriptor) || whole);
}

function linkOf(descriptor) {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    // A number that is no open descriptor: flags, a mode, a length.
    return '';
  }
}
