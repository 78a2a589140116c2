import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { unlinkIfPresent } from '../staging';

/** Files of a run that are written aside have such names: a step that died before it named its file has left it. */
export function isDraft(name: string): boolean {
  return name.startsWith('.');
}

/** Opens a draft for the calls; one that has not got its name by then is removed, so that attempts on a full disk do not fill it further. */
export function withDraft<T>(run: string, name: string, calls: (draft: Draft) => T): T {
  const draft = new Draft(run, name);
  try {
    return calls(draft);
  } finally {
    draft.discard();
  }
}

/** A file that is written aside and gets its name when it is complete and synced. */
export class Draft {
  private readonly path: string;
  private readonly descriptor: number;
  private isOpen = true;
  private lines: string[] = [];

  constructor(
    private readonly run: string,
    private readonly name: string,
  ) {
    this.path = join(run, `.${randomUUID()}`);
    this.descriptor = fs.openSync(this.path, 'wx', 0o600);
  }

  add(value: unknown): void {
    this.lines.push(JSON.stringify(value));
    if (this.lines.length >= 5000) this.flush();
  }

  /** Takes lines over as they are: a journal without failures is a part of the manifest. */
  append(lines: Buffer): void {
    this.flush();
    this.writeAll(lines);
  }

  write(value: unknown): void {
    this.add(value);
    this.close();
  }

  close(): void {
    this.flush();
    fs.fsyncSync(this.descriptor);
    this.release();
    fs.renameSync(this.path, join(this.run, this.name));
  }

  /** Gives it up, unless it has its name. */
  discard(): void {
    this.release();
    unlinkIfPresent(this.path);
  }

  private release(): void {
    if (this.isOpen) fs.closeSync(this.descriptor);
    this.isOpen = false;
  }

  private flush(): void {
    if (this.lines.length === 0) return;
    this.writeAll(Buffer.from(`${this.lines.join('\n')}\n`));
    this.lines = [];
  }

  private writeAll(data: Buffer): void {
    for (let written = 0; written < data.length; ) written += fs.writeSync(this.descriptor, data, written);
  }
}
