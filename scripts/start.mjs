// npm start -- file SOURCE TARGET
import { join } from 'node:path';
import { launch } from './launch.mjs';
import { root } from './setup.mjs';

launch(join(root, 'lib', 'cli', 'main.js'), process.argv.slice(2));
