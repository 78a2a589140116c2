import type { ServerAddress } from '../client/connect';
import { NoTemporalServerError } from '../server/errors';
import { messageOf } from '../core/error-message';
import { UsageError } from './exit-codes';

type Connect<Connection> = (options: ServerAddress['connectionOptions']) => Promise<Connection>;

/** Reads options, environment and profile. @throws UsageError for a profile that is not there or a file that cannot be read */
export function readChoice<Address>(read: () => Address): Address {
  try {
    return read();
  } catch (error) {
    throw new UsageError(`The Temporal configuration is wrong: ${messageOf(error)}`);
  }
}

/** Connects with either of Temporal's clients. @throws NoTemporalServerError that names the server and the way out */
export async function connectTo<Connection>({ connectionOptions }: ServerAddress, connect: Connect<Connection>): Promise<Connection> {
  try {
    return await connect(connectionOptions);
  } catch (error) {
    const message = `The Temporal server ${connectionOptions.address ?? ''} cannot be reached: ${reasonOf(error)}.`;
    throw new NoTemporalServerError(`${message} Start it, or correct --address, TEMPORAL_ADDRESS or the profile.`, { cause: error });
  }
}

/** The native client reports the dump of a Rust error, with the operating system's message in it. */
function reasonOf(error: unknown): string {
  const text = messageOf(error);
  return /message: "([^"]+)"/.exec(text)?.[1] ?? text;
}
