const base = require('./jest.config.cjs');

/** Tests that crash and damage real processes and files: one at a time, with time to recover. */
/** @type {import('jest').Config} */
module.exports = {
  ...base,
  testMatch: ['<rootDir>/test/faults/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/lib/', '<rootDir>/test/helpers/'],
  testTimeout: 300_000,
  maxWorkers: 1,
};
