import { createHash, hkdfSync } from 'node:crypto';

export const KEY_BYTES = 32;

/** One key as its file holds it. */
export type Secret = Buffer;

/** What is derived from one secret: a key for each use, and a name that tells nothing of them. */
export interface PayloadKey {
  readonly id: string;
  readonly signing: Buffer;
  readonly encryption: Buffer;
}

/** A ring of keys: the first one signs, all of them verify, so that a key can be replaced while runs are under way. */
export interface PayloadKeys {
  readonly ring: readonly PayloadKey[];
  /** Whether payloads are encrypted as well, so that only holders of the key can read them. */
  readonly encrypt: boolean;
}

/** Derives what is needed of secrets of 32 bytes each. @throws Error when there is none, or one of another length */
export function payloadKeys(secrets: readonly Secret[], { encrypt = false }: { readonly encrypt?: boolean } = {}): PayloadKeys {
  if (secrets.length === 0) throw new Error('A key ring needs at least one key');
  return { ring: secrets.map(derive), encrypt };
}

function derive(secret: Secret): PayloadKey {
  if (secret.length !== KEY_BYTES) throw new Error(`A key has ${KEY_BYTES} bytes, not ${secret.length}`);
  const signing = part(secret, 'sign payloads');
  return { id: createHash('sha256').update(part(secret, 'name the key')).digest('hex').slice(0, 16), signing, encryption: part(secret, 'encrypt payloads') };
}

function part(secret: Secret, use: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `temporal-file-backup v1: ${use}`, KEY_BYTES));
}
