/**
 * Calls back at the first SIGINT, SIGTERM or SIGHUP: whoever closes the terminal leaves, as with Ctrl-C. A second one ends
 * the process at once, as a person in a hurry expects; not SIGHUP, which shell and kernel may both send.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  let stopping = false;
  const listener = (signal: NodeJS.Signals): void => {
    if (stopping && signal === 'SIGHUP') return;
    if (stopping) process.exit(130);
    stopping = true;
    stop(signal);
  };
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, listener);
  return () => signals.forEach((signal) => process.off(signal, listener));
}
