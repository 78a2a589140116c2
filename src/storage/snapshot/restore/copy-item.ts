import { copyContent, syncCopy } from '../../copy';
import type { TransferControl } from '../../control';
import { blaming } from '../../errors';
import { pathText } from '../../path-bytes';
import type { OpenSource } from '../../source';
import { writing } from '../../stage-file';
import { applyAttributes } from './attributes';
import { damaged } from './open-source';
import type { FileItem, HardLinkItem } from './restore-item';

/**
 * Copies a file of a snapshot into a new file, with everything that is recorded of it. Bytes that have not the recorded
 * digest are refused, and the new file is removed.
 * @param sync false when the caller makes many copies durable at once
 * @throws StorageError `SnapshotDamaged`, `Cancelled`, errno names
 */
export function copyItem(staged: string, copy: OpenSource, item: FileItem | HardLinkItem, targetPath: string, control: TransferControl, sync: boolean): void {
  const sourcePath = pathText(item.path);
  const foundBytes = Number(copy.stats.size);
  if (foundBytes !== item.sizeBytes) throw damaged(sourcePath, `it has ${foundBytes} bytes, ${item.sizeBytes} were recorded`);
  const options = { sourcePath, targetPath, onSourceChanged: 'fail', control, sync } as const;
  writing(staged, targetPath, (descriptor) => {
    const { sha256 } = copyContent(descriptor, copy, options);
    if (sha256 !== item.sha256) throw damaged(sourcePath, `its SHA-256 is ${sha256}, ${item.sha256} was recorded`);
    blaming('destination', targetPath, () => applyAttributes(descriptor, item.attributes));
    if (sync) syncCopy(descriptor, options);
  });
}
