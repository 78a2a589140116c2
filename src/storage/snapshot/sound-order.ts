import { isBelowKey } from './entry-order';

/**
 * Entries as a walk meets them: in strict order, and nothing below what is no directory. Whoever forges a list of entries
 * could otherwise lead what is made of it through a link that is made of it too.
 */
export class SoundOrder {
  private last = '';
  private leaf: string | undefined;

  /** Whether the entry may come next. */
  accepts(key: string, isDirectory: boolean): boolean {
    if (key <= this.last || (this.leaf !== undefined && isBelowKey(this.leaf, key))) return false;
    this.last = key;
    // In their order, everything below an entry comes directly after it.
    if (!isDirectory) this.leaf = key;
    return true;
  }
}
