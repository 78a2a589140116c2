import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import type { PayloadKey } from './payload-keys';

/** Metadata of a signed payload, besides what it had before. All of it but the code itself is under the code. */
export const CLAIMS = 'file-backup-claims';
export const KEY_ID = 'file-backup-key';
export const CODE = 'file-backup-mac';

const DOMAIN = 'temporal-file-backup payload v1';

/** Adds the key's name and the authentication code over everything else. */
export function signed(payload: Payload, key: PayloadKey): Payload {
  const named = { ...payload, metadata: { ...payload.metadata, [KEY_ID]: Buffer.from(key.id) } };
  return { ...named, metadata: { ...named.metadata, [CODE]: codeOf(named, key) } };
}

/** Whether the code is that of the payload as it stands. */
export function isSigned(payload: Payload, key: PayloadKey): boolean {
  const found = Buffer.from(payload.metadata?.[CODE] ?? []);
  const expected = codeOf(payload, key);
  return found.length === expected.length && timingSafeEqual(found, expected);
}

/** Each part with its length before it: no two payloads have the same text under the code. */
function codeOf({ metadata, data }: Payload, { signing }: PayloadKey): Buffer {
  const mac = createHmac('sha256', signing);
  const add = (part: Uint8Array): void => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(part.length));
    mac.update(length).update(part);
  };
  const entries = Object.entries(metadata ?? {}).filter(([name]) => name !== CODE).sort(([a], [b]) => (a < b ? -1 : 1));
  add(Buffer.from(DOMAIN));
  add(Buffer.from(String(entries.length)));
  for (const [name, value] of entries) {
    add(Buffer.from(name));
    add(Buffer.from(value ?? []));
  }
  // Without any, decoded messages have an empty array that is none of bytes.
  add(Buffer.from(data ?? []));
  return mac.digest();
}
