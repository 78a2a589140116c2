import js from '@eslint/js';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';
import { builtinModules } from 'node:module';

/** Every file or folder of src/ with what it may import from src/; all else is refused. Imports point down only. */
const mayImport = {
  core: [],
  'models.ts': ['core'],
  'batch-models.ts': ['core', 'models.ts'],
  'snapshot-models.ts': ['core', 'models.ts', 'batch-models.ts'],
  'restore-models.ts': ['core', 'models.ts', 'batch-models.ts'],
  'schedule-models.ts': ['core', 'models.ts', 'batch-models.ts', 'snapshot-models.ts'],
  'workflow-ids.ts': ['core', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts'],
  'failures.ts': ['core'],
  'policies.ts': ['core', 'failures.ts'],
  proof: ['core', 'failures.ts'],
  keys: ['core', 'proof', 'config.ts'],
  codec: ['core', 'keys'],
  'search-attributes.ts': ['core'],
  'config.ts': ['core'],
  'log-levels.ts': [],
  'version.ts': ['core'],
  'terminal.ts': ['core'],
  'log.ts': ['core', 'log-levels.ts'],
  storage: ['core'],
  activities: ['proof', 'repository', 'storage', 'core', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts', 'version.ts', 'workflow-ids.ts', 'failures.ts', 'config.ts'],
  workflows: ['proof', 'core', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts', 'policies.ts', 'failures.ts', 'search-attributes.ts', 'activities'],
  'client.ts': ['keys', 'client', 'terminal.ts', 'config.ts', 'log.ts', 'core', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts'],
  client: ['proof', 'keys', 'workflows', 'core', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts', 'workflow-ids.ts', 'failures.ts', 'search-attributes.ts', 'config.ts'],
  repository: ['storage', 'core'],
  'plugin.ts': ['activities', 'keys', 'worker', 'core'],
  'worker.ts': ['keys', 'worker', 'terminal.ts', 'client', 'core', 'config.ts', 'log.ts'],
  worker: ['keys', 'proof', 'activities', 'storage', 'core', 'failures.ts', 'workflow-ids.ts', 'config.ts', 'log.ts', 'client'],
  server: ['core', 'config.ts'],
  cli: ['keys', 'codec', 'terminal.ts', 'repository', 'activities', 'storage', 'client.ts', 'client', 'worker.ts', 'worker', 'server', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts', 'failures.ts', 'core', 'config.ts', 'log.ts', 'log-levels.ts', 'version.ts'],
  'index.ts': ['keys', 'client.ts', 'client', 'worker.ts', 'worker', 'activities', 'workflows', 'models.ts', 'batch-models.ts', 'snapshot-models.ts', 'restore-models.ts', 'schedule-models.ts', 'failures.ts', 'core', 'plugin.ts'],
};

const everything = Object.keys(mayImport);
const zones = Object.entries(mayImport).map(([target, allowed]) => ({
  target: `./src/${target}`,
  from: everything.filter((name) => name !== target && !allowed.includes(name)).map((name) => `./src/${name}`),
  message: `src/${target} may import only: ${allowed.join(', ') || 'itself'} (see docs/design.md, "Layers").`,
}));

const temporal = { group: ['@temporalio/*'], message: 'This layer knows nothing of Temporal.' };
const forbiddenInWorkflows = [
  ...builtinModules.flatMap((name) => [name, `node:${name}`]),
  'zod',
  'pino',
  '@temporalio/activity',
  '@temporalio/client',
  '@temporalio/worker',
].map((name) => ({ name, message: 'Workflow code is deterministic: no Node built-ins, no zod, no clients.' }));

const oneWay = {
  json: { selector: "CallExpression[callee.object.name='JSON'][callee.property.name='parse']", message: 'Parsers quote what they cannot read: use parseJson of src/core/parse-json.ts.' },
  removal: { selector: 'CallExpression:matches([callee.property.name=/^(rm|rmdir)(Sync)?$/], [callee.name=/^(rm|rmdir)(Sync)?$/]) Property[key.name="recursive"]', message: 'What is removed by its path may be swapped for a link: use removeTree (src/storage/remove-tree.ts).' },
  streams: { selector: "MemberExpression[object.property.name=/^std(out|err)$/][property.name='write']", message: 'What is printed is made printable in one place: src/terminal.ts.' },
};

export default tseslint.config(
  { ignores: ['lib/', 'node_modules/', 'coverage/', 'docs/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.check.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver': { node: { extensions: ['.ts', '.js'] } },
      // Without these it reads .js alone, and finds no cycle among sources.
      'import-x/extensions': ['.ts', '.js'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': 'error',
      'max-lines': ['error', { max: 250 }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'object-shorthand': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', oneWay.json, oneWay.streams, oneWay.removal] },
  },
  { files: ['src/core/parse-json.ts'], rules: { 'no-restricted-syntax': ['error', oneWay.streams, oneWay.removal] } },
  { files: ['src/terminal.ts'], rules: { 'no-restricted-syntax': ['error', oneWay.json, oneWay.removal] } },
  // What the server downloads is in a folder of its own.
  { files: ['src/server/**/*.ts'], rules: { 'no-restricted-syntax': ['error', oneWay.json, oneWay.streams] } },
  {
    files: ['src/storage/**/*.ts', 'src/repository/**/*.ts', 'src/core/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [temporal] }] },
  },
  {
    files: ['src/workflows/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: forbiddenInWorkflows,
          patterns: [
            { group: ['**/activities', '**/activities/*', '**/models', '**/batch-models', '**/snapshot-models', '**/restore-models', '**/schedule-models'], allowTypeImports: true, message: 'Types only: values would enter the workflow bundle.' },
          ],
        },
      ],
    },
  },
  {
    files: ['src/client.ts', 'src/worker.ts', 'src/cli/**/*.ts', 'src/client/**/*.ts', 'src/index.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ group: ['**/workflows/*', '!**/workflows/messages'], allowTypeImports: true, message: 'Workflows run in the worker: import types and message names only.' }] },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'examples/**/*.ts'],
    rules: { 'max-lines': 'off', 'max-lines-per-function': 'off', 'no-console': 'off' },
  },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', require: 'readonly', module: 'writable', __dirname: 'readonly', Buffer: 'readonly', setTimeout: 'readonly', clearTimeout: 'readonly', URL: 'readonly', fetch: 'readonly', performance: 'readonly' } },
  },
);
