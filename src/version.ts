import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

interface PackageFile {
  readonly version: string;
}

/** Version of the package, as its package.json says. */
export const { version } = JSON.parse(readFileSync(resolve(__dirname, '../package.json'), 'utf8')) as PackageFile;
