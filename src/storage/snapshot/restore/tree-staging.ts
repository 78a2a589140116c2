import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { stagingLocations } from '../../batch/attempt-directory';
import type { RunSettings } from '../../batch/chunk';
import { runDirectory, type RunLocation } from '../../batch/run-directory';
import type { OpenDirectory } from '../../directory';
import { removeTree } from '../../remove-tree';
import { Reach } from './reach';

/** Where one attempt at the end of a restore makes links and FIFOs aside: a directory on each file system that needs one. */
export class TreeStaging {
  private readonly name = `.${randomUUID()}`;
  private readonly made = new Map<number, string>();
  private readonly locations: readonly RunLocation[];
  private readonly reach: Reach;

  /** @param settings with its locations opened; see `inPlaces` */
  constructor(settings: RunSettings) {
    this.locations = stagingLocations(settings);
    this.reach = new Reach(settings);
  }

  /** The directory for what goes into that one. @throws StorageError as `Reach.placeFor`, errno names */
  for(directory: OpenDirectory): string {
    const place = this.reach.placeFor(directory);
    const known = this.made.get(place);
    if (known !== undefined) return known;
    const path = join(runDirectory(this.locations[place] as RunLocation), this.name);
    fs.mkdirSync(path, { mode: 0o700 });
    this.made.set(place, path);
    return path;
  }

  remove(): void {
    for (const place of this.made.keys()) removeTree(runDirectory(this.locations[place] as RunLocation), this.name);
  }
}
