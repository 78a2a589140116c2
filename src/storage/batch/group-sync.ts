import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import type { RunLocation } from './run-directory';

/**
 * Waits until everything on the destination's file system is durable: files, their names and new directories alike.
 * @throws StorageError `DestinationError`, `Cancelled`
 */
export function requireSynced({ destination }: RunLocation, control: TransferControl): void {
  if (!control.awaitSync()) throw new StorageError('DestinationError', 'destination', destination, `Syncing the file system of ${destination} failed`);
  control.throwIfCancelled();
}
