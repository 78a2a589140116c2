import * as fs from 'node:fs';
import { join } from 'node:path';
import type { RunGround } from './batch/open-run';
import type { RunLocation } from './batch/run-directory';
import { syncDirectory } from './directory';
import { StorageError } from './errors';
import type { StagingOwner } from './prepare-staging';
import type { Attributes } from './snapshot/restore/attributes';
import { readOwnRecord } from './records/own-file';
import { registered } from './staging-shapes';
import { inStateDirectory } from './state-directory';
import { namesIn, unlinkIfPresent, type DirectoryIdentity, type StagingLocation } from './staging';

/** A staging directory that this worker made and has not removed yet. */
export interface RegisteredStaging {
  readonly owner: StagingOwner;
  readonly location: StagingLocation;
  readonly createdDirectories: readonly string[];
}

/** A run of many files that this worker opened and that has not been sealed by it. Its owner's run id is the first one's. */
export interface RegisteredRun {
  readonly kind: 'run';
  readonly owner: StagingOwner;
  readonly location: RunLocation;
  readonly ground: RunGround;
  /** All or nothing. */
  readonly rollBack: boolean;
  /** Null until the plan is complete: before, no chunk was started. */
  readonly chunks: number | null;
  /** For the run's summary, should the janitor have to write it. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Of a restore: directories in which it stages besides. */
  readonly places?: readonly DirectoryIdentity[];
  /** Of a restore: what the destination itself is to have at the end. */
  readonly rootAttributes?: Attributes | null;
}

export type Registered = RegisteredStaging | RegisteredRun;

export function isRun(entry: Registered): entry is RegisteredRun {
  return 'kind' in entry;
}

/**
 * The worker's list of staging directories, one small file each in its state directory: what a terminated run leaves
 * behind is found here, and nothing is ever deleted by the look of its name.
 */
export class StagingRegistry {
  private readonly directory: string;

  constructor(readonly stateDirectory: string) {
    this.directory = join(stateDirectory, 'staging');
  }

  /** Durable before the directory itself is made. @throws StorageError `StateDirectoryError` */
  add(entry: Registered): void {
    const { runId } = entry.location;
    inStateDirectory(this.stateDirectory, () => {
      if (fs.mkdirSync(this.directory, { recursive: true, mode: 0o700 }) !== undefined) syncDirectory(this.stateDirectory);
      fs.writeFileSync(this.draftOf(runId), JSON.stringify(entry), { mode: 0o600, flush: true });
      fs.renameSync(this.draftOf(runId), this.pathOf(runId));
      syncDirectory(this.directory);
    });
  }

  /** @throws StorageError `StateDirectoryError` */
  remove(runId: string): void {
    inStateDirectory(this.stateDirectory, () => {
      unlinkIfPresent(this.pathOf(runId));
      unlinkIfPresent(this.draftOf(runId));
    });
  }

  /** The run of many files of that id; undefined when another worker opened it, or nobody. */
  findRun(runId: string): RegisteredRun | undefined {
    const entry = this.read(`${runId}.json`);
    return entry !== undefined && isRun(entry) ? entry : undefined;
  }

  /** The staging directory of that run beside that target; undefined when another worker made it, or nobody. */
  findStaging({ runId, targetPath }: Pick<StagingLocation, 'runId' | 'targetPath'>): RegisteredStaging | undefined {
    const entry = this.read(`${runId}.json`);
    return entry !== undefined && !isRun(entry) && entry.location.targetPath === targetPath ? entry : undefined;
  }

  /** @param refused told of each entry that is none: the others are answered all the same */
  list(refused: (finding: StorageError) => void = rethrow): Registered[] {
    return this.names().flatMap((name) => {
      try {
        return this.read(name) ?? [];
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        refused(error);
        return [];
      }
    });
  }

  /** Undefined also for one that was removed since the names were read: workers may share a state directory. */
  private read(name: string): Registered | undefined {
    return inStateDirectory(this.stateDirectory, () => readOwnRecord(join(this.directory, name), registered));
  }

  private names(): string[] {
    return inStateDirectory(this.stateDirectory, () => namesIn(this.directory).filter((name) => name.endsWith('.json')));
  }

  /** Named after the run, so that one left by a worker that was killed here goes with the run. */
  private draftOf(runId: string): string {
    return join(this.directory, `.${runId}`);
  }

  private pathOf(runId: string): string {
    return join(this.directory, `${runId}.json`);
  }
}

function rethrow(finding: StorageError): never {
  throw finding;
}
