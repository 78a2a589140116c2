import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { BatchProgress } from '../core/batch-progress';
import { PAUSE_UPDATE, PROGRESS_QUERY, RESUME_UPDATE, SET_LANES_UPDATE, STATUS_QUERY } from '../core/names';
import type { FileBackupStatus } from '../core/status';

/** Where a single-file backup stands. */
export const statusQuery = defineQuery<FileBackupStatus>(STATUS_QUERY);

/** How far a batch is. */
export const progressQuery = defineQuery<BatchProgress>(PROGRESS_QUERY);

/** Starts no more chunks until `resume`. */
export const pauseUpdate = defineUpdate<BatchProgress>(PAUSE_UPDATE);
export const resumeUpdate = defineUpdate<BatchProgress>(RESUME_UPDATE);

/** How many chunks are worked on at a time. */
export const setLanesUpdate = defineUpdate<BatchProgress, [number]>(SET_LANES_UPDATE);
