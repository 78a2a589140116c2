import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const LOG = resolve(__dirname, '../lib/log.js');

/** The lines that a process logs which runs the statement with a `log`. */
function logged(statement: string): { readonly text: string; readonly line: Record<string, unknown> } {
  const { stderr } = spawnSync(process.execPath, ['-e', `const log = require(${JSON.stringify(LOG)}).createLogger('debug'); ${statement}`], { encoding: 'utf8' });
  return { text: stderr, line: JSON.parse(stderr) as Record<string, unknown> };
}

test('a line of the log holds nothing that a terminal acts on, and says the same', () => {
  const evil = 'x\u001b[2J\u009b31m\u202e\u200b\u{e0041}\u2028\n';
  const { text, line } = logged(`log.warn({ path: ${JSON.stringify(evil)} }, ${JSON.stringify(evil)})`);
  expect(text).toMatch(/^[\x20-\x7e]*\n$/);
  expect(line).toMatchObject({ path: evil, msg: evil, level: 40 });
});

test.each(['err', 'error'])('an error in the field %s is logged with its causes, and without what a parser read', (field) => {
  const { text, line } = logged(`
    let cause;
    try { JSON.parse('hunter2'); } catch (error) { cause = error; }
    log.warn({ ${field}: Object.assign(new Error('A step failed', { cause }), { details: 'hunter2' }) }, 'Step failed');`);
  expect(text).not.toContain('hunter2');
  expect(line[field]).toMatchObject({ type: 'Error', message: 'A step failed', stack: expect.stringContaining('at ') as string, cause: { type: 'SyntaxError' } });
});

test('a message in the field error stays', () => {
  expect(logged('log.warn({ error: \'it did not work\' }, \'Step failed\')').line).toMatchObject({ error: 'it did not work' });
});
