import { createHash } from 'node:crypto';
import { withDraft, type Draft } from '../batch/draft';

const BUFFERED_BYTES = 1024 * 1024;

/** A draft that knows the digest of what was written to it. */
export class DigestedDraft {
  private readonly hash = createHash('sha256');
  private pieces: Buffer[] = [];
  private pendingBytes = 0;
  private sizeBytes = 0;

  constructor(private readonly draft: Draft) {}

  get isEmpty(): boolean {
    return this.sizeBytes === 0;
  }

  add(piece: Buffer): void {
    this.pieces.push(piece);
    this.sizeBytes += piece.length;
    this.pendingBytes += piece.length;
    if (this.pendingBytes >= BUFFERED_BYTES) this.flush();
  }

  /** Gives the draft its name, durably, and answers its digest. */
  close(): string {
    this.flush();
    this.draft.close();
    return this.hash.digest('hex');
  }

  private flush(): void {
    const data = Buffer.concat(this.pieces);
    this.hash.update(data);
    this.draft.append(data);
    this.pieces = [];
    this.pendingBytes = 0;
  }
}

/** As `withDraft`, with digests. @param names of both files below the run's directory */
export function withDigestedDrafts<T>(run: string, names: readonly [string, string], calls: (first: DigestedDraft, second: DigestedDraft) => T): T {
  return withDraft(run, names[0], (first) => withDraft(run, names[1], (second) => calls(new DigestedDraft(first), new DigestedDraft(second))));
}
