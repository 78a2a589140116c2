import Module from 'node:module';
import { ensureBuilt, ensureInstalled, SetupError } from './setup.mjs';

/** Runs a built program with these arguments in this process, after installing and building what is missing. */
export function launch(program, args) {
  try {
    ensureInstalled();
    ensureBuilt();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
  // npm runs scripts in the package's folder; relative paths are meant from where npm was called.
  if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
  process.argv = [process.execPath, program, ...args];
  // As the main module, for which programs look; a second Node process would cost its start.
  Module.runMain();
}
