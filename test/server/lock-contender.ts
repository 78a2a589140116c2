import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { withLock } from '../../src/server/lock';

/**
 * A process that takes a lock again and again, for tests. Inside, it creates a file that must not be there: two
 * holders at once fail. Its last turn ends by a kill while it holds the lock.
 */
async function contend(lockFile: string, turns: number): Promise<void> {
  const inside = `${lockFile}.inside`;
  for (let turn = 1; turn <= turns; turn += 1) {
    await withLock(lockFile, async () => {
      writeFileSync(inside, String(process.pid), { flag: 'wx' });
      await new Promise(setImmediate);
      appendFileSync(`${lockFile}.turns`, `${process.pid}\n`);
      rmSync(inside);
      if (turn === turns) process.kill(process.pid, 'SIGKILL');
    });
  }
}

process.stdin.once('data', () => {
  contend(process.argv[2]!, Number(process.argv[3])).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
