export { backupFile } from './backup-file';
