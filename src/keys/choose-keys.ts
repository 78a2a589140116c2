import { stateDirectory as defaultStateDirectory } from '../config';
import { readKeyFile, stateKeys } from './key-file';
import { payloadKeys, type PayloadKeys } from './payload-keys';

/** Where keys come from. */
export interface KeyChoice {
  /** A key file, or `none`. */
  readonly keyFile?: string;
  /** Whose key is used, and made, when no file is named. */
  readonly stateDirectory?: string;
  readonly encrypt?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The keys that were named, by option or FILE_BACKUP_PAYLOAD_KEY, else the one of the state directory; undefined for
 * `none`.
 * @throws PayloadKeyError
 */
export function choosePayloadKeys({ keyFile, stateDirectory, encrypt }: KeyChoice = {}, env: Environment = process.env): PayloadKeys | undefined {
  const named = keyFile ?? (env.FILE_BACKUP_PAYLOAD_KEY || undefined);
  if (named === 'none') return undefined;
  const secrets = named === undefined ? stateKeys(stateDirectory ?? defaultStateDirectory(env)) : readKeyFile(named);
  return payloadKeys(secrets, { encrypt: encrypt ?? isOn(env.FILE_BACKUP_ENCRYPT_PAYLOADS) });
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false', 'no'].includes(value);
}
