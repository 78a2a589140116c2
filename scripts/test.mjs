// npm test -- [jest arguments]: lint, types and tests. All of them run, whatever fails.
import { runJest, runSuite, runTool } from './suite.mjs';

runSuite([
  ['lint', () => runTool('eslint/bin/eslint.js', ['.'])],
  ['types', () => runTool('typescript/bin/tsc', ['--noEmit', '-p', 'tsconfig.check.json'])],
  ['tests', () => runJest('jest.config.cjs', process.argv.slice(2))],
]);
