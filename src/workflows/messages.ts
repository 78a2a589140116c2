import { defineQuery } from '@temporalio/workflow';
import { STATUS_QUERY } from '../core/names';
import type { FileBackupStatus } from '../core/status';

/** Where a single-file backup stands. */
export const statusQuery = defineQuery<FileBackupStatus>(STATUS_QUERY);
