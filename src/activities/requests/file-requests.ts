import { z } from 'zod';
import { isBelow } from '../../core/roots';
import { FileBackupInput } from '../../models';
import { attempts, count, directories, directoriesBetween, directoryIdentity, fileStat, sha256, stagedName } from './terms';

/** What the first step found: later steps get it back from a workflow. The directories to create follow from its other fields. */
const operation = z
  .strictObject({ input: FileBackupInput, source: fileStat, destination: directoryIdentity, missingDirectories: directories, attempt: attempts.optional() })
  .refine(
    ({ input, destination, missingDirectories }) => input.backupPath !== destination.path && isBelow(destination.path, input.backupPath) && missingDirectories.join('\0') === directoriesBetween(destination.path, input.backupPath).join('\0'),
    { path: ['missingDirectories'], message: 'must be the directories between the destination and the target' },
  );

const prepared = z.strictObject({ previous: fileStat.nullable(), hardLinks: z.boolean(), attempt: attempts.optional() });

const copied = { sha256, sizeBytes: count, changed: z.boolean(), ownerKept: z.boolean(), attempt: attempts };

const staged = z.strictObject({ name: stagedName, ...copied });

/** Requests of the steps that back a single file up. */
export const fileRequests = {
  inspectFile: z.strictObject({ input: FileBackupInput }),
  prepareStaging: z.strictObject({ operation }),
  stageFile: z.strictObject({ operation, replaces: stagedName.nullable() }),
  verifyFile: z.strictObject({ operation, staged, finalCycle: z.boolean() }),
  publishFile: z.strictObject({ operation, prepared, staged }),
  unpublishFile: z.strictObject({ operation, prepared, staged }),
  discardStaging: z.strictObject({ operation }),
  finalizeFile: z.strictObject({ operation }),
  adoptTarget: z.strictObject({ operation }),
  writeTarget: z.strictObject({ operation }),
  verifyTarget: z.strictObject({ operation, staged: z.strictObject(copied), finalCycle: z.boolean() }),
};
