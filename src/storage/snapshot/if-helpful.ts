import { isErrno } from '../errors';

/** One that is damaged says nothing, and its removal since the names were read is no harm: there are others, and the sources. */
export function isNoHelp(error: unknown): boolean {
  return isErrno(error, 'SnapshotDamaged', 'SnapshotNotFound', 'RepositoryUnsupported', 'SourceNotCanonical', 'ENOENT');
}

/** Asks a snapshot before. @param otherwise called where that is no help */
export function ifHelpful<T>(calls: () => T, otherwise: () => void): T | undefined {
  try {
    return calls();
  } catch (error) {
    if (!isNoHelp(error)) throw error;
    otherwise();
    return undefined;
  }
}
