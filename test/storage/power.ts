import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { TransferControl } from '../../src/storage/control';
import { interceptFs, type FsCall } from './patched-fs';

/**
 * Notes of processes, which no power cut survives; what is set aside for a full disk; trials; and of a new target the second
 * link in staging, which has a third one there.
 */
const ofNoConcern = /\/(worker-\d+|reserve(\/[^/]+)?|probe-[0-9a-f-]{36}(-link)?|\.file-backup-[^/]+\/published)$/;

/** Files that are written aside count when they get their name. */
const draft = /\/\.[0-9a-f-]{36}(\/|$)/;

/** Entries of an attempt's own staging. */
const staged = /\/(staging\/[^/]+\/|\.file-backup-[^/]+\/)|\/staging\.revoked\//;

/** Where copies are moved that a journal has named: it says where they are found meanwhile. */
const moved = /\/snapshot\/data\//;

const journal = /\/journal\/\d{9}\.ndjson$/;

/**
 * Keeps account of what a power cut would take away: names that no sync of their directory has followed, and content that
 * none of the file has. By the letter of the standard, whatever some file system does beyond it. Needs node:fs mocked, as
 * `interceptFs` does.
 */
export class Power {
  /** Syncs the whole file system when it is asked to. */
  readonly control: TransferControl;
  /** What was not durable when a journal got its name, since `watch`. */
  readonly missedByJournals: string[] = [];
  private readonly names = new Set<string>();
  /** Names that are gone, and that a power cut would bring back. */
  private readonly removals = new Set<string>();
  private readonly contents = new Map<bigint, string>();

  /** What attempts that died have staged, and nobody asks for any more. */
  private readonly dead = new Set<string>();

  /** @param syncEach nothing is known of the file system; else it keeps the order of renames, as those do that are synced at once */
  constructor(
    private readonly folder: string,
    private readonly syncEach: boolean,
  ) {
    this.control = new SyncingControl(() => this.syncAll());
  }

  /** Begins, with everything durable; answers what ends it. */
  watch(): () => void {
    this.syncAll();
    return interceptFs((call, proceed) => this.see(call, proceed));
  }

  /** An attempt has died: what it has staged and not named is of no concern any more. */
  bury(): void {
    for (const path of [...this.names, ...this.contents.values()]) if (staged.test(path)) this.dead.add(path);
  }

  /** What would be lost now, of names that are there. */
  lost(): string[] {
    const names = [...this.names].filter((path) => fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined);
    return [...names, ...this.contents.values()].filter((path) => this.isOfConcern(path) && !this.dead.has(path)).map((path) => path.replace(this.folder, ''));
  }

  /** What would be there again. */
  broughtBack(): string[] {
    return [...this.removals].filter((path) => fs.lstatSync(path, { throwIfNoEntry: false }) === undefined && this.isOfConcern(path)).map((path) => path.replace(this.folder, ''));
  }

  private isOfConcern(path: string): boolean {
    return path.includes(this.folder) && !ofNoConcern.test(path) && !draft.test(path);
  }

  private syncAll(): void {
    this.names.clear();
    this.removals.clear();
    this.contents.clear();
  }

  private see(call: FsCall, proceed: () => unknown): unknown {
    const { name, args } = call;
    const [first, second] = args;
    switch (name) {
      case 'mkdirSync':
        return this.making(first, proceed);
      case 'symlinkSync':
        return this.making(second, proceed);
      case 'linkSync':
        return this.naming(second, proceed);
      case 'renameSync':
        return this.renaming(first, second, proceed);
      case 'unlinkSync':
      case 'rmdirSync':
      case 'rmSync':
        return this.removing(first, proceed);
      case 'openSync':
        return fs.existsSync(first as fs.PathLike) ? proceed() : this.opening(first, proceed);
      case 'writeFileSync':
        return this.writing(first, args[2] as { flush?: boolean } | undefined, proceed);
      case 'writeSync':
        this.contents.set(fs.fstatSync(first as number, { bigint: true }).ino, pathOf(first));
        return proceed();
      case 'fsyncSync':
        return this.syncing(first as number, proceed);
      default:
        return proceed();
    }
  }

  private making(path: unknown, proceed: () => unknown): unknown {
    const answer = proceed();
    this.names.add(pathOf(path));
    return answer;
  }

  private naming(path: unknown, proceed: () => unknown): unknown {
    const name = pathOf(path);
    if (journal.test(name)) this.missedByJournals.push(...this.lost());
    return this.making(path, proceed);
  }

  private opening(path: unknown, proceed: () => unknown): unknown {
    const answer = proceed();
    if (fs.existsSync(path as fs.PathLike)) this.names.add(pathOf(path));
    return answer;
  }

  private writing(path: unknown, { flush = false }: { flush?: boolean } = {}, proceed: () => unknown): unknown {
    const isNew = !fs.existsSync(path as fs.PathLike);
    const answer = proceed();
    if (isNew) this.names.add(pathOf(path));
    if (!flush) this.contents.set(fs.statSync(path as fs.PathLike, { bigint: true }).ino, pathOf(path));
    return answer;
  }

  private renaming(from: unknown, to: unknown, proceed: () => unknown): unknown {
    const [old, next] = [pathOf(from), pathOf(to)];
    const isDurable = !this.names.has(old);
    const answer = this.naming(to, proceed);
    if (isDurable && !this.syncEach && moved.test(next)) this.names.delete(next);
    for (const path of [...this.names].filter((each) => each.startsWith(`${old}/`))) {
      this.names.delete(path);
      this.names.add(`${next}${path.slice(old.length)}`);
    }
    this.gone(old);
    return answer;
  }

  private removing(path: unknown, proceed: () => unknown): unknown {
    const name = pathOf(path);
    const stats = fs.lstatSync(path as fs.PathLike, { bigint: true, throwIfNoEntry: false });
    const answer = proceed();
    if (stats?.nlink === 1n) this.contents.delete(stats.ino);
    this.gone(name);
    return answer;
  }

  private gone(path: string): void {
    if (!this.names.delete(path)) this.removals.add(path);
  }

  private syncing(descriptor: number, proceed: () => unknown): unknown {
    const answer = proceed();
    const stats = fs.fstatSync(descriptor, { bigint: true });
    if (!stats.isDirectory()) this.contents.delete(stats.ino);
    else for (const paths of [this.names, this.removals]) for (const path of [...paths].filter((each) => dirname(each) === pathOf(descriptor))) paths.delete(path);
    return answer;
  }
}

class SyncingControl extends TransferControl {
  constructor(private readonly sync: () => void) {
    super();
  }

  override awaitSync(): boolean {
    this.sync();
    return true;
  }
}

/** Paths lead through descriptors; those themselves name files as well. */
function pathOf(path: unknown): string {
  if (typeof path === 'number') return fs.readlinkSync(`/proc/self/fd/${path}`);
  return String(path).replace(/^\/proc\/self\/fd\/(\d+)/, (_whole, descriptor: string) => fs.readlinkSync(`/proc/self/fd/${descriptor}`));
}
