import { Command } from '@commander-js/extra-typings';

/** A command that needs no Temporal server: it works on a repository by itself. */
export function localCommand(name: string) {
  return new Command(name).option('--json', 'print one JSON object a line on standard output', false);
}
