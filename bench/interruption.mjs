import { killRunning } from './run-command.mjs';

/** Waits for the work, or gives it up at Ctrl-C, so that what it left can be removed. */
export async function untilInterrupted(work) {
  let interrupt;
  const interrupted = new Promise((_resolve, reject) => {
    interrupt = (signal) => {
      process.exitCode = 130;
      reject(new Error(`Interrupted by ${signal}`));
      killRunning();
    };
  });
  const signals = ['SIGINT', 'SIGTERM'];
  signals.forEach((signal) => process.once(signal, interrupt));
  try {
    await Promise.race([work, interrupted]);
  } finally {
    signals.forEach((signal) => process.off(signal, interrupt));
  }
}
