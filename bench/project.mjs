import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from '../scripts/setup.mjs';

const require = createRequire(import.meta.url);

/** A compiled module of the project. */
export const project = (path) => require(join(root, 'lib', path));

/** The command, as its users run it. */
export const COMMAND = join(root, 'lib', 'cli', 'main.js');

/** The SDK's client. */
export const temporalClient = () => require('@temporalio/client');
