// npm runs this when it has installed or linked a clone: without it, `npm install -g .` would link a command that is not
// built. It links without installing dependencies, so those are seen to as well.
import { ensureBuilt, ensureInstalled } from './setup.mjs';

// Not within an installation that `ensureInstalled` has begun, nor one without what building needs.
const isWithoutTools = [process.env.npm_config_omit, process.env.NODE_ENV === 'production' ? 'dev' : ''].some((omitted) => omitted?.includes('dev'));
if (process.env.FILE_BACKUP_SETUP === undefined && !isWithoutTools) {
  if (process.env.npm_config_global === 'true') ensureInstalled();
  ensureBuilt();
}
