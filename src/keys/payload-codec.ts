import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';
import { parseJson } from '../core/parse-json';
import type { Purpose } from '../proof/bound';
import { PURPOSE, REFUSED_ENCODING } from '../proof/payload-converter';
import { areClaimsOf, claimsOf, type Claims } from './claims';
import { decrypted, encrypted, isEncrypted } from './encryption';
import type { PayloadKeys } from './payload-keys';
import { CLAIMS, CODE, isSigned, KEY_ID, signed } from './signature';

/** Looks at what was verified, and says why it is not admitted here, if it is not. */
export type Admission = (purpose: Purpose, payload: Payload, context: SerializationContext | undefined) => string | undefined;

export interface CodecOptions {
  readonly keys: PayloadKeys;
  /** Tells workflows that what they get was verified, though nobody has bound it to anything. */
  readonly marksPlain?: boolean;
  /** What else a worker asks of the payloads that it gets. */
  readonly admit?: Admission;
}

/**
 * Signs every payload: who it belongs to and what it is for are under the code with the data, which stays readable, or
 * is encrypted where the keys say so. What comes in unsigned, changed or from elsewhere is replaced by a `Refused`: an
 * error here would let the server try again for ever.
 */
export function createPayloadCodec({ keys, marksPlain = false, admit = () => undefined }: CodecOptions): PayloadCodec {
  return {
    encode: (payloads, context) => Promise.resolve(payloads.map((payload) => sealed(payload, context, keys))),
    decode: (payloads, context) =>
      Promise.resolve(
        payloads.map((payload) => {
          const opened = unsealed(payload, context, keys);
          if (typeof opened === 'string') return refused(opened);
          const purpose = purposeOf(opened) ?? { kind: 'plain' as const };
          const objection = admit(purpose, opened, context);
          if (objection !== undefined) return refused(objection);
          return marksPlain && context?.type === 'workflow' ? { ...opened, metadata: { ...opened.metadata, [PURPOSE]: Buffer.from(JSON.stringify(purpose)) } } : opened;
        }),
      ),
  };
}

function sealed(payload: Payload, context: SerializationContext | undefined, { ring: [key], encrypt }: PayloadKeys): Payload {
  if (key === undefined) throw new Error('A key ring needs at least one key');
  const claimed = { ...payload, metadata: { ...payload.metadata, [CLAIMS]: Buffer.from(JSON.stringify(claimsOf(context))) } };
  return signed(encrypt ? encrypted(claimed, key) : claimed, key);
}

const ours: readonly string[] = [CLAIMS, CODE, KEY_ID];

/** The payload as it was before it was sealed, or why it is refused. */
function unsealed(payload: Payload, context: SerializationContext | undefined, { ring }: PayloadKeys): Payload | string {
  const id = payload.metadata?.[KEY_ID];
  if (!id) return 'is not signed';
  const key = ring.find((each) => each.id === Buffer.from(id).toString());
  if (key === undefined) return 'is signed with a key that is not known here';
  if (!isSigned(payload, key)) return 'has a wrong signature';
  const plain = isEncrypted(payload) ? decrypted(payload, key) : payload;
  const claims = plain.metadata?.[CLAIMS];
  const opened = { ...plain, metadata: Object.fromEntries(Object.entries(plain.metadata ?? {}).filter(([name]) => !ours.includes(name))) };
  if (!claims || !areClaimsOf(parseJson(Buffer.from(claims).toString()) as Claims, context, purposeOf(opened))) return 'was made for another workflow or activity';
  return opened;
}

function purposeOf({ metadata }: Payload): Purpose | undefined {
  const purpose = metadata?.[PURPOSE];
  return !purpose ? undefined : (parseJson(Buffer.from(purpose).toString()) as Purpose);
}

function refused(reason: string): Payload {
  return { metadata: { encoding: Buffer.from(REFUSED_ENCODING) }, data: Buffer.from(reason) };
}
