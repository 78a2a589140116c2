import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { TransferControl } from '../../src/storage/control';
import { StorageError } from '../../src/storage/errors';
import { inspectFile, type Inspected } from '../../src/storage/inspect-file';
import { prepareStaging, type PreparedStaging, type StagingOwner } from '../../src/storage/prepare-staging';
import { publishFile, type PublishedBy } from '../../src/storage/publish-file';
import { stageFile, type StagedFile, type StageRequest } from '../../src/storage/stage-file';
import type { StagingLocation } from '../../src/storage/staging';
import { discardStaging, finalizeFile, unpublishFile, type Unpublished } from '../../src/storage/unpublish-file';
import { verifyStagedFile, type Verified } from '../../src/storage/verify-file';

/** One backup of one file, step by step, with what each step answered: the storage side of the saga. */
export class Operation {
  readonly runId = randomUUID();
  readonly control = new TransferControl();
  readonly inspected: Inspected;
  prepared: PreparedStaging | undefined;
  staged: StagedFile | undefined;

  constructor(
    readonly root: string,
    readonly sourcePath = join(root, 'source'),
    readonly targetPath = join(root, 'target'),
  ) {
    this.inspected = inspectFile({ sourceRoot: root, sourcePath, targetRoot: root, targetPath });
  }

  get location(): StagingLocation {
    return { root: this.root, targetPath: this.targetPath, runId: this.runId, destination: this.inspected.destination };
  }

  get owner(): StagingOwner {
    return { clusterId: 'cluster', namespace: 'default', workflowId: 'backup', runId: this.runId };
  }

  /** Where staged files lie while the operation goes on. */
  get stagingPath(): string {
    return join(dirname(this.targetPath), `.file-backup-${this.runId}`);
  }

  get revokedPath(): string {
    return `${this.stagingPath}.revoked`;
  }

  prepare(): PreparedStaging {
    return (this.prepared = prepareStaging(this.location, this.owner, this.inspected.missingDirectories));
  }

  stage(request: Partial<StageRequest> = {}): StagedFile {
    const { location, root: sourceRoot, sourcePath } = this;
    return (this.staged = stageFile({ location, sourceRoot, sourcePath, onSourceChanged: 'fail', attemptName: 'staged-1', replaces: null, ...request }, this.control));
  }

  verify(): Verified {
    return verifyStagedFile(this.location, this.known(this.staged).name, this.known(this.staged), 'device', this.control);
  }

  publish(): PublishedBy {
    const { location } = this;
    const staged = this.known(this.staged);
    return publishFile({ location, prepared: this.known(this.prepared), stagedName: staged.name, expected: staged }, this.control);
  }

  unpublish(): Unpublished {
    return unpublishFile(this.location, this.known(this.prepared), this.known(this.staged), this.control);
  }

  discard(): void {
    discardStaging(this.location, this.inspected.missingDirectories);
  }

  finalize(): void {
    finalizeFile(this.location);
  }

  /** Everything that the saga would undo by now, in its order. */
  undo(): void {
    if (this.prepared !== undefined && this.staged !== undefined) this.unpublish();
    this.discard();
  }

  /** Up to the step that a test is about. */
  readyToPublish(): this {
    this.prepare();
    this.stage();
    return this;
  }

  complete(): this {
    this.readyToPublish().verify();
    this.publish();
    this.finalize();
    return this;
  }

  /** Path of the staged file in the staging directory that is not revoked yet. */
  get stagedPath(): string {
    return join(this.stagingPath, this.known(this.staged).name);
  }

  private known<T>(value: T | undefined): T {
    if (value === undefined) throw new Error('The test has left out a step');
    return value;
  }
}

/** What storage threw; fails when it threw nothing, or something else than a finding of its own. */
export function thrownBy(calls: () => unknown): StorageError {
  try {
    calls();
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}

/** Its code alone, for tables. */
export function codeOf(calls: () => unknown): string {
  return thrownBy(calls).code;
}

/** A target that is there before the backup, unlike the source in every respect. */
export function writePrevious(path: string, content = 'previous content'): void {
  fs.writeFileSync(path, content);
  fs.chmodSync(path, 0o640);
  fs.utimesSync(path, 1_000_000_000, 1_000_000_000.123456);
}
