import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from './directory';
import { isErrno } from './errors';
import type { StagingOwner } from './prepare-staging';
import { unlinkIfPresent, type StagingLocation } from './staging';

/** A staging directory that this worker made and has not removed yet. */
export interface RegisteredStaging {
  readonly owner: StagingOwner;
  readonly location: StagingLocation;
  readonly createdDirectories: readonly string[];
}

/**
 * The worker's list of staging directories, one small file each in its state directory: what a terminated run leaves
 * behind is found here, and nothing is ever deleted by the look of its name.
 */
export class StagingRegistry {
  private readonly directory: string;

  constructor(stateDirectory: string) {
    this.directory = join(stateDirectory, 'staging');
  }

  /** Durable before the directory itself is made. */
  add(entry: RegisteredStaging): void {
    fs.mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const draft = join(this.directory, `.${randomUUID()}`);
    fs.writeFileSync(draft, JSON.stringify(entry), { mode: 0o600, flag: 'wx', flush: true });
    fs.renameSync(draft, this.pathOf(entry.location.runId));
    syncDirectory(this.directory);
  }

  remove(runId: string): void {
    unlinkIfPresent(this.pathOf(runId));
  }

  list(): RegisteredStaging[] {
    return this.names().map((name) => JSON.parse(fs.readFileSync(join(this.directory, name), 'utf8')) as RegisteredStaging);
  }

  private names(): string[] {
    try {
      return fs.readdirSync(this.directory).filter((name) => name.endsWith('.json'));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }

  private pathOf(runId: string): string {
    return join(this.directory, `${runId}.json`);
  }
}
