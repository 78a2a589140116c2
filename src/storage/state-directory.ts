import { errnoName, StorageError } from './errors';

/**
 * Runs file system calls on what the program keeps in its state directory, and blames that: nothing is wrong with source or
 * destination then.
 * @throws StorageError `StateDirectoryError` naming the directory, in place of errno names
 */
export function inStateDirectory<T>(directory: string, calls: () => T): T {
  try {
    return calls();
  } catch (error) {
    const code = errnoName(error);
    // A finding of ours says it better.
    if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw error;
    throw new StorageError('StateDirectoryError', 'destination', directory, `The state directory ${directory} cannot be used: ${code}`, {}, { cause: error });
  }
}
