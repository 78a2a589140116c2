// node scripts/run.mjs lib/worker.js ARGUMENT…
import { resolve } from 'node:path';
import { launch } from './launch.mjs';
import { root } from './setup.mjs';

const [program, ...args] = process.argv.slice(2);
if (!program) {
  console.error('Usage: node scripts/run.mjs FILE [ARGUMENT…]');
  process.exit(2);
}
launch(resolve(root, program), args);
