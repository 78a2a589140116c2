import * as fs from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/storage/snapshot/repository';
import { exactTree } from '../helpers/exact-tree';
import { isRoot } from '../helpers/files';
import { writeSnapshot } from '../helpers/snapshot-fixture';
import { createWorkplace, jsonLines, onTestServer, type CommandEnd, type Workplace } from './run-command';

let place: Workplace;
const source = (...names: string[]): string => place.path('source', ...names);
const restored = (...names: string[]): string => join(place.path('target'), source(...names));
const restore = (...options: string[]): Promise<CommandEnd> => place.run(['restore', 'repository', '--to', 'target', '--max-retries', '0', ...options], { env: onTestServer() });

beforeEach(() => {
  place = createWorkplace();
  initRepository(place.path('repository'));
  fs.mkdirSync(source());
  for (const name of ['own', 'foreign', 'program']) fs.writeFileSync(source(name), name);
  if (isRoot) fs.chownSync(source('foreign'), 12_345, 23_456);
  fs.chmodSync(source('program'), 0o4755);
  writeSnapshot(place.path('repository'), source());
});

afterEach(() => place.remove());

const asRoot = isRoot ? test : test.skip;
const LEFT_OUT = '2 entries have another owner, or set-user-id, set-group-id or sticky bits, on record: left out; --with-owners restores them';

asRoot('a restore says how much of owners and special bits it leaves out, and by which option they come', async () => {
  const preview = await restore('--dry-run');
  expect(preview.stdout).toContain(`Rights: ${LEFT_OUT}`);
  expect(jsonLines((await restore('--dry-run', '--json')).stdout).at(-1)).toMatchObject({ messageType: 'preview', rightsLeftOut: 2 });
  const { code, stdout } = await restore();
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`Rights: +${LEFT_OUT}`));
  expect([fs.statSync(restored('foreign')).uid, fs.statSync(restored('program')).mode & 0o7777]).toEqual([0, 0o755]);
});

asRoot('with the option nothing is left out, and nothing is said', async () => {
  const { code, stdout } = await restore('--with-owners', '--json');
  expect({ code, result: jsonLines(stdout).at(-1) }).toMatchObject({ code: 0, result: { success: true, rightsLeftOut: 0 } });
  expect((await restore('--with-owners', '--dry-run')).stdout).not.toContain('Rights:');
  expect(exactTree(restored())).toEqual(exactTree(source()));
});

asRoot('owners out of somebody else\'s repository are refused by name, with the way out, and nothing is written', async () => {
  fs.chownSync(place.path('repository'), 12_345, 12_345);
  const { code, stdout } = await restore('--with-owners');
  expect(code).toBe(1);
  expect(stdout).toContain('RepositoryNotTrusted');
  expect(stdout).toContain(`${place.path('repository')} has owner and mode 12345:12345 0700`);
  expect(stdout).toContain('Restore without --with-owners');
  expect(fs.existsSync(place.path('target'))).toBe(false);
});
