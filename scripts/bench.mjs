// npm run bench -- [--help]: this project beside other tools, on the same data, in one run. Prints tables for
// docs/benchmarks.md. Nothing here is a timed test.
import { compare } from '../bench/comparison.mjs';
import { measureGrowth } from '../bench/growth.mjs';
import { untilInterrupted } from '../bench/interruption.mjs';
import { describeMachine } from '../bench/machine.mjs';
import { readOptions, USAGE } from '../bench/options.mjs';
import { ownContenders } from '../bench/own-contenders.mjs';
import { snapshotContests } from '../bench/snapshot-contenders.mjs';
import { temporalVersion } from '../bench/temporal.mjs';
import { toolContenders } from '../bench/tool-contenders.mjs';
import { findTools } from '../bench/tools.mjs';
import { openWorkplace } from '../bench/workplace.mjs';
import { ensureBuilt, ensureInstalled } from './setup.mjs';

const options = readOptions();
if (options.help) console.log(USAGE);
else await main().catch(fail);

async function main() {
  ensureInstalled();
  ensureBuilt();
  const workplace = openWorkplace(options.parentDirectory);
  const own = ownContenders(workplace);
  try {
    await untilInterrupted(run(workplace, own));
  } finally {
    await own.close();
    console.error('Removing the data…');
    await workplace.remove();
  }
}

function fail(error) {
  console.error(process.exitCode === 130 ? error.message : error);
  process.exit(process.exitCode ?? 1);
}

async function run(workplace, { contenders, service }) {
  const tools = await findTools();
  console.log(describeMachine(workplace.directory, tools, await temporalVersion()));
  if (options.growth) return measureGrowth(options, workplace);
  const copy = { ours: 'temporal-device', contenders: [...contenders, ...toolContenders(workplace, tools)] };
  return compare(options, workplace, { copy, ...snapshotContests(tools, service, options) }, service);
}
