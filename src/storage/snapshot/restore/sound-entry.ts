import { bytewise, fromJsonPath, isJsonPath, type JsonPath } from '../../path-bytes';
import type { PresentEntry, SnapshotEntry } from '../entry';

const MAX_PATH_BYTES = 4095;
/** The greatest number means "leave the owner as it is" to the operating system. */
const MAX_OWNER = 0xfffffffe;

/** A repository is not to be trusted: every field that a restore acts on is looked at before. */
export function isSound(entry: SnapshotEntry): boolean {
  return entry.state === 'failed' ? typeof entry.type === 'string' : hasSoundAttributes(entry) && isSoundOfItsType(entry);
}

function hasSoundAttributes({ mode, uid, gid, mtimeNs }: PresentEntry): boolean {
  return isText(mode, /^[0-7]{4}$/) && isText(mtimeNs, /^-?\d{1,19}$/) && [uid, gid].every((owner) => Number.isInteger(owner) && owner >= 0 && owner <= MAX_OWNER);
}

function isSoundOfItsType(entry: PresentEntry): boolean {
  switch (entry.type) {
    case 'file':
      return Number.isSafeInteger(entry.sizeBytes) && entry.sizeBytes >= 0 && isText(entry.sha256, /^[0-9a-f]{64}$/) && (entry.hardLink === undefined || (isPath(entry.hardLink) && staysInside(entry.hardLink)));
    case 'symlink':
      return isPath(entry.linkTarget);
    case 'directory':
    case 'fifo':
    case 'socket':
    case 'blockDevice':
    case 'characterDevice':
      return true;
    default:
      return false;
  }
}

function isText(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

/** Absolute, and without parts that lead elsewhere. */
function staysInside(path: JsonPath): boolean {
  const [before, ...names] = bytewise(fromJsonPath(path)).split('/');
  return before === '' && names.every((name) => !['', '.', '..'].includes(name));
}

function isPath(path: JsonPath): boolean {
  if (!isJsonPath(path)) return false;
  const bytes = Buffer.from(fromJsonPath(path));
  return bytes.length > 0 && bytes.length <= MAX_PATH_BYTES && !bytes.includes(0);
}
