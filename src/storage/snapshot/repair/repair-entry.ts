import * as fs from 'node:fs';
import { inParent } from '../../directory';
import { fromJsonPath } from '../../path-bytes';
import { setEntryTimes, setTimes } from '../../posix';
import { copyMode, type CopiedEntry } from '../check/check-entry';
import type { DirectoryEntry, SymlinkEntry } from '../entry';
import type { NamedCopy } from './names';
import { hasForeignNames, type RepairTools } from './repair-file';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const IN_THE_WAY = 'something else with content is in its place';

/** Makes a directory again that is missing, empty at first. Answers why it could not be done. */
export function repairDirectory(name: NamedCopy, _entry: DirectoryEntry, { names, workbench }: RepairTools): string | undefined {
  const found = names.find(name)?.stats;
  if (found?.isDirectory() === true) return undefined;
  if (found?.isFile() === true) return IN_THE_WAY;
  const path = names.pathOf(name);
  if (found !== undefined) workbench.unlink(path);
  workbench.makeDirectory(path);
  return undefined;
}

/** Makes a symbolic link again that is missing or leads elsewhere. Answers why it could not be done. */
export function repairSymlink(name: NamedCopy, entry: SymlinkEntry, { names, workbench }: RepairTools): string | undefined {
  const found = names.find(name)?.stats;
  if (found?.isDirectory() === true || found?.isFile() === true) return IN_THE_WAY;
  workbench.place(workbench.symlink(fromJsonPath(entry.linkTarget)), names.pathOf(name));
  return undefined;
}

/** Gives a copy mode and time as recorded, unless it is somebody else's file too. Answers why it could not be done. @throws errno names */
export function repairMetadata(repository: string, named: NamedCopy, entry: CopiedEntry, tools: RepairTools): string | undefined {
  const path = tools.names.pathOf(named);
  return inParent(repository, path, 'destination', (parent, name) => {
    if (entry.type === 'symlink') {
      // A new one: its content was made again before.
      setEntryTimes(parent.entry(name), BigInt(entry.mtimeNs));
      return undefined;
    }
    const descriptor = fs.openSync(parent.entry(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      if (entry.type === 'file' && hasForeignNames(named, entry, fs.fstatSync(descriptor, { bigint: true }), tools)) return 'it has names outside of the repository by now';
      fs.fchmodSync(descriptor, copyMode(entry));
      setTimes(descriptor, BigInt(entry.mtimeNs));
      fs.fsyncSync(descriptor);
      return undefined;
    } finally {
      fs.closeSync(descriptor);
    }
  });
}
