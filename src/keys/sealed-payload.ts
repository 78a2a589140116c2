import type { Payload, SerializationContext } from '@temporalio/common';
import { parseJson } from '../core/parse-json';
import { claimsOf, type Claims } from './claims';
import { decrypted, encrypted, isEncrypted } from './encryption';
import type { PayloadKeys } from './payload-keys';
import { CLAIMS, CODE, isSigned, KEY_ID, signed } from './signature';

/** A payload as it was before it was sealed, and whose it says it is. */
export interface Verified {
  readonly payload: Payload;
  readonly claims: Claims;
}

const ours: readonly string[] = [CLAIMS, CODE, KEY_ID];

/** Signs a payload, with whose it is under the code, and encrypts it where the keys say so. */
export function sealed(payload: Payload, context: SerializationContext | undefined, { ring: [key], encrypt }: PayloadKeys): Payload {
  if (key === undefined) throw new Error('A key ring needs at least one key');
  const claimed = { ...payload, metadata: { ...payload.metadata, [CLAIMS]: Buffer.from(JSON.stringify(claimsOf(context))) } };
  return signed(encrypt ? encrypted(claimed, key) : claimed, key);
}

/** What a key of the ring has sealed, wherever that was for, or why it is refused. */
export function verified(payload: Payload, { ring }: PayloadKeys): Verified | string {
  const id = payload.metadata?.[KEY_ID];
  if (!id) return 'is not signed';
  const key = ring.find((each) => each.id === Buffer.from(id).toString());
  if (key === undefined) return 'is signed with a key that is not known here';
  if (!isSigned(payload, key)) return 'has a wrong signature';
  const plain = isEncrypted(payload) ? decrypted(payload, key) : payload;
  const claims = plain.metadata?.[CLAIMS];
  if (!claims) return 'was made for another workflow or activity';
  const metadata = Object.fromEntries(Object.entries(plain.metadata ?? {}).filter(([name]) => !ours.includes(name)));
  return { payload: { ...plain, metadata }, claims: parseJson(Buffer.from(claims).toString()) as Claims };
}

/**
 * For people, who look at payloads one by one: what was sealed for a namespace, with whose it is in its metadata; undefined
 * for all else. That it stands where it was made for is not looked at.
 */
export function readable(payload: Payload, namespace: string | undefined, keys: PayloadKeys): Payload | undefined {
  const found = verified(payload, keys);
  if (typeof found === 'string' || (found.claims.namespace !== undefined && found.claims.namespace !== namespace)) return undefined;
  return { ...found.payload, metadata: { ...found.payload.metadata, [CLAIMS]: Buffer.from(JSON.stringify(found.claims)) } };
}
