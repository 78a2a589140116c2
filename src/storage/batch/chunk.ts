import type { OnSourceChanged } from '../copy';
import type { Side } from '../errors';
import type { ReadFrom } from '../read-back';
import type { JsonPath, PathBytes } from '../path-bytes';
import type { RunOwner } from './open-run';
import type { RunLocation } from './run-directory';

/** What all chunks of a run have in common, whatever it copies. */
export interface RunSettings {
  readonly location: RunLocation;
  /** Where the run stages besides, for file systems that its own directory does not reach. */
  readonly places?: readonly RunLocation[];
  readonly verify: ReadFrom | 'none';
  /** Keep previous targets until the whole run is committed. */
  readonly keepPrevious: boolean;
  /** Sync each file by itself: where syncing the file system at once cannot be trusted. */
  readonly syncEach: boolean;
}

/** Of a run that backs a list of files up. */
export interface ChunkSettings extends RunSettings {
  readonly sourceRoots: readonly string[];
  readonly onSourceChanged: OnSourceChanged;
}

/** One file of a plan, whatever else its line says. */
export interface PlannedFile {
  readonly source: PathBytes;
  /** Below the destination. */
  readonly target: PathBytes;
}

/** When a chunk is given up as a whole: the destination is ill, and waiting is better than many failures. */
export interface IllnessRule {
  /** Codes of failures that blame the destination. */
  readonly codes: Readonly<Record<Side, readonly string[]>>;
  /** Those of them that say that there is no space: an illness only where nothing fits any more. */
  readonly space: readonly string[];
  /** The last attempt: what fits is taken then, and the files that do not fit are failed ones. */
  readonly isLast: boolean;
  /** So many, or half of a chunk, are not an illness yet. */
  readonly mostFailures: number;
}

export interface ChunkTask<Settings extends RunSettings = ChunkSettings> {
  readonly settings: Settings;
  readonly chunk: number;
  /** Names what this attempt stages; attempts may overlap. */
  readonly attemptName: string;
  /** The run that asks: it has to be the run's own. */
  readonly owner: RunOwner;
  readonly illness: IllnessRule;
  /** 0 for the whole chunk; further passes try the files of `only` again and keep what the journal says of the others. */
  readonly pass: number;
  readonly only: readonly number[];
  /** Of the journal that the pass before has written, as history has it; undefined in the first pass. */
  readonly journalTag?: string;
}

/** Every file of a run ends in exactly one of these. */
export type FileState = 'backedUp' | 'unchanged' | 'failed';

/** Why a file failed, in storage's terms. */
export interface EntryFailure {
  readonly code: string;
  readonly side: Side;
  readonly message: string;
}

/** One line of the journal: what became of one file. */
export interface JournalEntry {
  readonly source: JsonPath;
  readonly target: JsonPath;
  readonly state: FileState;
  readonly sizeBytes: number;
  readonly sha256?: string;
  /** The source as it was copied. */
  readonly mtimeNs?: string;
  readonly ctimeNs?: string;
  readonly inode?: string;
  /** The target as it was published. */
  readonly targetInode?: string;
  readonly targetMtimeNs?: string;
  readonly changed?: boolean;
  readonly failure?: EntryFailure;
  /** Set when a target was replaced and its previous content is kept under this name. */
  readonly kept?: string;
}

/** What a chunk came to; counts add up to its files. */
export interface ChunkOutcome {
  /** The pass that it is the outcome of. */
  readonly pass: number;
  readonly counts: Readonly<Record<FileState, number>>;
  /** Of files that were copied. */
  readonly sizeBytes: number;
  readonly unchangedBytes: number;
  readonly changed: number;
  readonly verifiedFrom: ReadFrom | null;
}
