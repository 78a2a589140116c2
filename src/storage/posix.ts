import koffi, { type LibraryHandle } from 'koffi';
import * as fs from 'node:fs';
import { constants } from 'node:os';
import type { PathBytes } from './path-bytes';

/**
 * Calls of the operating system that Node does not have. Node passes times on as a floating-point number of seconds,
 * which is too coarse for nanoseconds, and makes no special files.
 */
interface Calls {
  readonly futimens: (descriptor: number, times: BigInt64Array) => number;
  readonly utimensat: (directory: number, path: Buffer, times: BigInt64Array, flags: number) => number;
  readonly mkfifo: (path: Buffer, mode: number) => number;
  readonly lseek?: (descriptor: number, offset: number, whence: number) => number | bigint;
  readonly flistxattr?: (descriptor: number, names: Buffer, sizeBytes: number) => number;
  readonly getxattr?: (path: string, name: string, value: Buffer, sizeBytes: number) => number;
}

/** Of the paths that are given: relative to the working directory, and not through a link at their end. */
const AT_FDCWD = process.platform === 'darwin' ? -2 : -100;
const AT_SYMLINK_NOFOLLOW = process.platform === 'darwin' ? 0x20 : 0x100;

/** Where a `timespec` is two words of 64 bits. */
const architectures = ['x64', 'arm64', 'riscv64', 'ppc64', 's390x', 'loong64'];

let loaded: Calls | undefined;

function calls(): Calls {
  loaded ??= load();
  return loaded;
}

function load(): Calls {
  if (!architectures.includes(process.arch)) throw new Error(`Times in nanoseconds are not supported on ${process.arch}`);
  const library = koffi.load(null);
  return {
    futimens: library.func('int futimens(int descriptor, const int64_t *times)') as Calls['futimens'],
    utimensat: library.func('int utimensat(int directory, const char *path, const int64_t *times, int flags)') as Calls['utimensat'],
    mkfifo: library.func('int mkfifo(const char *path, unsigned int mode)') as Calls['mkfifo'],
    ...(process.platform === 'linux' ? linuxCalls(library) : {}),
  };
}

function linuxCalls(library: LibraryHandle): Pick<Calls, 'lseek' | 'flistxattr' | 'getxattr'> {
  return {
    lseek: library.func('int64_t lseek(int descriptor, int64_t offset, int whence)') as Calls['lseek'],
    flistxattr: library.func('int64_t flistxattr(int descriptor, _Out_ uint8_t *names, size_t size)') as Calls['flistxattr'],
    getxattr: library.func('int64_t getxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)') as Calls['getxattr'],
  };
}

/** Sets access and modification time of an open file to the nanosecond. @throws errno names */
export function setTimes(descriptor: number, timeNs: bigint): void {
  check('futimens', calls().futimens(descriptor, timespecs(timeNs)));
}

/** Sets both times of a directory entry, of a symbolic link those of the link itself. @throws errno names */
export function setEntryTimes(path: PathBytes, timeNs: bigint): void {
  check('utimensat', calls().utimensat(AT_FDCWD, terminated(path), timespecs(timeNs), AT_SYMLINK_NOFOLLOW));
}

/** Makes a FIFO. @throws errno names */
export function makeFifo(path: PathBytes, mode: number): void {
  check('mkfifo', calls().mkfifo(terminated(path), mode));
  // Past the umask.
  fs.chmodSync(path, mode);
}

/** Of Linux. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * Where the next byte of data is in an open file, from an offset on; Infinity when only a hole follows. The offset itself where
 * holes cannot be told.
 */
export function nextData(descriptor: number, offset: number): number {
  return seek(descriptor, offset, SEEK_DATA) ?? (koffi.errno() === constants.errno.ENXIO ? Infinity : offset);
}

/** Where the next hole begins, from an offset on; Infinity where holes cannot be told. */
export function nextHole(descriptor: number, offset: number): number {
  return seek(descriptor, offset, SEEK_HOLE) ?? Infinity;
}

function seek(descriptor: number, offset: number, whence: number): number | undefined {
  const found = Number(calls().lseek?.(descriptor, offset, whence) ?? offset);
  return found < 0 ? undefined : found;
}

/** Labels that a system puts on every file by itself. */
const LABELS = ['security.selinux'];
const names = Buffer.alloc(64 * 1024);

/** Whether an open file has extended attributes, access control lists among them. False where that cannot be told. */
export function hasExtendedAttributes(descriptor: number): boolean {
  const count = calls().flistxattr?.(descriptor, names, names.length) ?? 0;
  if (count <= 0) return false;
  return names.toString('latin1', 0, count).split('\0').some((name) => name !== '' && !LABELS.includes(name));
}

/** The POSIX access control list of a directory, as the kernel has it; undefined when there is none. @throws errno names */
export function accessListOf(directory: string): Uint8Array | undefined {
  const { getxattr } = calls();
  if (getxattr === undefined) return undefined;
  const count = getxattr(directory, 'system.posix_acl_access', names, names.length);
  if (count >= 0) return Uint8Array.from(names.subarray(0, count));
  const errno = koffi.errno();
  if ([constants.errno.ENODATA, constants.errno.EOPNOTSUPP].includes(errno)) return undefined;
  throw Object.assign(new Error(`getxattr failed with error number ${errno}`), { errno: -errno, syscall: 'getxattr' });
}

const NS_PER_SECOND = 1_000_000_000n;

/** Rounded down, also before 1970: the nanoseconds of a `timespec` are never negative. */
function timespecs(timeNs: bigint): BigInt64Array {
  const nanoseconds = ((timeNs % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  const seconds = (timeNs - nanoseconds) / NS_PER_SECOND;
  return new BigInt64Array([seconds, nanoseconds, seconds, nanoseconds]);
}

function terminated(path: PathBytes): Buffer {
  return Buffer.concat([Buffer.from(path), Buffer.alloc(1)]);
}

function check(syscall: string, answer: number): void {
  if (answer === 0) return;
  const errno = koffi.errno();
  throw Object.assign(new Error(`${syscall} failed with error number ${errno}`), { errno: -errno, syscall });
}
