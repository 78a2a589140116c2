import type { ExcludeRules } from './excludes';
import type { WalkedSource, WalkSource } from './sources';

/** What a walk is to go through. */
export interface WalkRequest {
  /** Each is walked by rules of its own, also one below another. */
  readonly sources: readonly WalkSource[];
  readonly excludes: ExcludeRules;
  /** Stay on the file system of each source; what is mounted below appears as an empty directory. */
  readonly oneFileSystem: boolean;
  /** Directories that are left out wherever they are met: the repository, and where the worker keeps its state. */
  readonly leaveOut: readonly string[];
  /** What has a longer path is answered as such, and of a directory nothing that is in it. */
  readonly maxPathBytes: number;
}

/** What a walk came to, beside what it answers. */
export interface WalkReport {
  /** What was left out by itself. */
  readonly leftOut: string[];
  readonly sources: WalkedSource[];
  /** Patterns that left nothing out. */
  readonly idleExcludes: Set<string>;
}
