import { defineQuery } from '@temporalio/workflow';
import type { FileBackupStatus } from '../core/status';

/** Where a single-file backup stands. */
export const statusQuery = defineQuery<FileBackupStatus>('status');
