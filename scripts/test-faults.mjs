// npm run test:faults -- [jest arguments]: real crashes and real damage, with the system's own tools.
import { runJest, runSuite } from './suite.mjs';
import { provideSystemTools } from './system-tools.mjs';

/** Program → the system package that brings it. */
const TOOLS = { strace: 'strace', rclone: 'rclone' };

runSuite([
  ['system tools', () => provideTools()],
  ['fault tests', () => runJest('jest.faults.config.cjs', process.argv.slice(2))],
]);

/** Says what will be skipped for want of a tool. */
function provideTools() {
  for (const tool of provideSystemTools(TOOLS)) {
    console.log(`${tool} is missing: the tests that need it are skipped. Install it with the system's package manager.`);
  }
  return {};
}
