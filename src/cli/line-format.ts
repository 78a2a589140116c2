import { Format, type GenericFormatter } from 'cli-progress';
import { printable } from '../core/printable';

/** The format of a progress bar whose finished line is made printable: the movements of the cursor come after it. */
export function lineFormat(format: string): GenericFormatter {
  return (options, params, payload) => printable(Format.Formatter({ ...options, format }, params, payload));
}
