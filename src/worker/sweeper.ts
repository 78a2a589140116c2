import { sweepStaging, type Janitor } from './janitor';
import type { Registered } from '../storage/staging-registry';

/** The janitor of a worker, one sweep at a time. */
export class Sweeper {
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly janitor: Janitor) {}

  /** Sweeps what is registered, or what of it is wanted. Never throws. */
  sweep(isWanted: (entry: Registered) => boolean = () => true): Promise<void> {
    this.last = this.last.then(() => sweepStaging(this.janitor, isWanted));
    return this.last;
  }

  /** The end of all sweeps that were asked for. */
  get idle(): Promise<void> {
    return this.last;
  }
}
