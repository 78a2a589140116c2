import { existsSync } from 'node:fs';
import { inspectRun } from '../../../src/storage/batch/open-run';

test('a run in the root of all is looked at like any other, and nothing is made there', () => {
  const { destination, missingDirectories } = inspectRun({ root: '/', destination: '/', runId: 'run' });
  expect(destination.path).toBe('/');
  expect(missingDirectories).toEqual(existsSync('/.file-backup') ? missingDirectories : ['/.file-backup', '/.file-backup/runs']);
});
