import { spawn } from 'node:child_process';

const running = new Set();

/** Runs a program to its end and answers its standard output; any other end than 0 is an error with what it said. */
export function runCommand(program, args, { env = {}, cwd, outputTo } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', outputTo ?? 'pipe', 'pipe'] });
    const [said, complained] = [[], []];
    running.add(child);
    child.stdout?.on('data', (data) => said.push(data));
    child.stderr.on('data', (data) => complained.push(data));
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      running.delete(child);
      if (code === 0) return resolve(Buffer.concat(said).toString('utf8'));
      reject(new Error(`${program} ${args.join(' ').slice(0, 200)} ended with ${code ?? killedBy}: ${Buffer.concat(complained).toString('utf8').trim().slice(-500)}`));
    });
  });
}

/** For an interruption. */
export function killRunning() {
  for (const child of running) child.kill('SIGKILL');
}
