import type { TransferControl } from '../control';
import { StorageError } from '../errors';
import type { RunLocation } from './run-directory';

/**
 * Waits until everything on the destination's file system is durable: files, their names and new directories alike.
 * @throws StorageError `DestinationError`, `Cancelled`
 */
export function requireSynced(location: RunLocation, control: TransferControl): void {
  finishSync(location, control);
  control.throwIfCancelled();
}

/** Likewise for what is finished although the step was cancelled. @throws StorageError `DestinationError` */
export function finishSync({ destination }: RunLocation, control: TransferControl): void {
  if (!control.awaitSync()) throw new StorageError('DestinationError', 'destination', destination, `Syncing the file system of ${destination} failed`);
}
