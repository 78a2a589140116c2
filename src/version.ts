import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseJson } from './core/parse-json';

interface PackageFile {
  readonly version: string;
}

/** Version of the package, as its package.json says. */
export const { version } = parseJson(readFileSync(resolve(__dirname, '../package.json'), 'utf8')) as PackageFile;
