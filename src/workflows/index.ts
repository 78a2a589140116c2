export { backupFile } from './backup-file';
export { backupBatch } from './backup-batch';
export { backupSnapshot } from './backup-snapshot';
export { restoreSnapshot } from './restore-snapshot';
export { scheduledSnapshot } from './scheduled-snapshot';
