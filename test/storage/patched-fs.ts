import * as fs from 'node:fs';

/**
 * Stands between the code under test and the file system. A test file that uses it mocks node:fs with the real
 * functions in an object that can be changed:
 * `jest.mock('node:fs', () => ({ __esModule: true, ...jest.requireActual<object>('node:fs') }));`
 */

export interface FsCall {
  readonly name: string;
  readonly args: readonly unknown[];
}

type FsFunction = (...args: unknown[]) => unknown;
type FsFunctions = Record<string, FsFunction>;

/** Sees every synchronous call of the code under test; calls that the interceptor itself makes are let through. */
export function interceptFs(intercept: (call: FsCall, proceed: () => unknown) => unknown): () => void {
  const functions = fs as unknown as FsFunctions;
  if (!('__esModule' in fs)) throw new Error('This test file does not mock node:fs');
  const originals = Object.entries(functions).filter(([name, value]) => name.endsWith('Sync') && typeof value === 'function');
  let busy = false;
  for (const [name, original] of originals) functions[name] = Object.assign(wrap(name, original), wrapNative(name, original));

  function wrap(name: string, original: FsFunction): FsFunction {
    return (...args) => {
      if (busy) return original(...args);
      busy = true;
      try {
        return intercept({ name, args }, () => original(...args));
      } finally {
        busy = false;
      }
    };
  }

  function wrapNative(name: string, original: FsFunction): object {
    const { native } = original as unknown as { native?: FsFunction };
    return native === undefined ? {} : { native: wrap(`${name}.native`, native) };
  }

  return () => {
    for (const [name, original] of originals) functions[name] = original;
  };
}

/** Replaces one function for the calls; the replacement gets the arguments and the real call. */
export function withPatched<T>(name: keyof typeof fs, replacement: (args: readonly unknown[], proceed: () => unknown) => unknown, calls: () => T): T {
  const restore = interceptFs((call, proceed) => (call.name === name ? replacement(call.args, proceed) : proceed()));
  try {
    return calls();
  } finally {
    restore();
  }
}

/** Does something once, just before the n-th call of a function. */
export function withInterruption<T>(name: keyof typeof fs, nth: number, interruption: () => void, calls: () => T): T {
  let count = 0;
  return withPatched(
    name,
    (_args, proceed) => {
      count += 1;
      if (count === nth) interruption();
      return proceed();
    },
    calls,
  );
}

export function errnoError(code: string, errno: number): Error {
  return Object.assign(new Error(`${code}: as the test wants it`), { code, errno: -errno, syscall: 'test' });
}

/** A file system without hard links, as exFAT is. */
export function withoutHardLinks<T>(calls: () => T): T {
  return withPatched('linkSync', () => { throw errnoError('EPERM', 1); }, calls);
}

/** A file system on which a file has so many names at most. */
export function withMostLinks<T>(most: number, calls: () => T): T {
  return withPatched('linkSync', ([existing], proceed) => {
    if (fs.lstatSync(existing as string).nlink >= most) throw errnoError('EMLINK', 31);
    return proceed();
  }, calls);
}

/** Stands for the death of the process: nobody catches it, and clean-up code runs into it as well. */
export class Crash extends Error {}

const changing = ['mkdirSync', 'writeFileSync', 'linkSync', 'renameSync', 'unlinkSync', 'rmdirSync', 'openSync', 'writeSync', 'fchmodSync', 'fchownSync', 'futimesSync', 'ftruncateSync', 'fsyncSync', 'copyFileSync', 'rmSync'];

/**
 * Lets the process die before the n-th call that changes something, counted over all calls, or in the middle of it
 * where a call can be half done. From then on no call has any effect, until `restart`.
 */
export function crashing(nth: number, { halfDone = false, hardLinks = true } = {}): { readonly crashed: () => boolean; readonly restart: () => void } {
  let count = 0;
  let dead = false;
  const restart = interceptFs(({ name, args }, proceed) => {
    // Descriptors are really closed, or the test itself would run out of them.
    if (name === 'closeSync') return proceed();
    if (dead) throw new Crash();
    if (name === 'linkSync' && !hardLinks) throw errnoError('EPERM', 1);
    if (isChanging(name, args) && (count += 1) === nth) {
      dead = true;
      if (halfDone) doHalf(name, args);
      throw new Crash();
    }
    return proceed();
  });
  return { crashed: () => dead, restart };
}

function isChanging(name: string, args: readonly unknown[]): boolean {
  if (name === 'openSync') return typeof args[1] === 'number' && (args[1] & fs.constants.O_CREAT) !== 0;
  return changing.includes(name);
}

function doHalf(name: string, args: readonly unknown[]): void {
  const [first, second] = args as [string & number, string & Buffer];
  const { flag } = (args[2] ?? {}) as { flag?: string };
  if (name === 'writeFileSync') fs.writeFileSync(first, second.slice(0, second.length / 2), { mode: 0o600, flag });
  if (name === 'copyFileSync') fs.writeFileSync(second, fs.readFileSync(first).subarray(0, 10));
  if (name === 'rmSync') removeHalf(first);
  if (name === 'writeSync') {
    const [, , offset = 0, length = second.length - offset] = args as [number, Buffer, number?, number?];
    fs.writeSync(first, second, offset, Math.floor(length / 2));
  }
}

function removeHalf(directory: string): void {
  if (fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  const names = fs.readdirSync(directory);
  for (const name of names.slice(0, names.length / 2)) fs.rmSync(`${directory}/${name}`, { recursive: true });
}
