import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import type { PayloadKey } from './payload-keys';

const ENCODING = 'binary/encrypted';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const { Payload: Message } = temporal.api.common.v1;

/** The whole payload, what it is for included, as one that only the key opens: nonce, ciphertext, tag. */
export function encrypted(payload: Payload, { encryption }: PayloadKey): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', encryption, nonce).setAAD(Buffer.from(ENCODING));
  const data = Buffer.concat([nonce, cipher.update(Message.encode(payload).finish()), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: Buffer.from(ENCODING) }, data };
}

export function isEncrypted({ metadata }: Payload): boolean {
  return Buffer.from(metadata?.encoding ?? []).toString() === ENCODING;
}

/** Of a payload whose signature was verified: trouble means that this program did not make it. */
export function decrypted({ data }: Payload, { encryption }: PayloadKey): Payload {
  const bytes = Buffer.from(data ?? []);
  const decipher = createDecipheriv('aes-256-gcm', encryption, bytes.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(ENCODING));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  return Message.decode(Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]));
}
