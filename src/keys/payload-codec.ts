import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';
import { parseJson } from '../core/parse-json';
import type { Purpose } from '../proof/bound';
import { ORIGINAL_ENCODING, PURPOSE, REFUSAL, REFUSED_ENCODING } from '../proof/payload-converter';
import { areClaimsOf } from './claims';
import type { PayloadKeys } from './payload-keys';
import { sealed, verified } from './sealed-payload';

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
          if (typeof opened === 'string') return refused(payload, opened);
          const purpose = purposeOf(opened) ?? { kind: 'plain' as const };
          const objection = admit(purpose, opened, context);
          if (objection !== undefined) return refused(payload, objection);
          return marksPlain && context?.type === 'workflow' ? { ...opened, metadata: { ...opened.metadata, [PURPOSE]: Buffer.from(JSON.stringify(purpose)) } } : opened;
        }),
      ),
  };
}

/** The payload as it was before it was sealed for this place, or why it is refused. */
function unsealed(payload: Payload, context: SerializationContext | undefined, keys: PayloadKeys): Payload | string {
  const found = verified(payload, keys);
  if (typeof found === 'string') return found;
  return areClaimsOf(found.claims, context, purposeOf(found.payload)) ? found.payload : 'was made for another workflow or activity';
}

function purposeOf({ metadata }: Payload): Purpose | undefined {
  const purpose = metadata?.[PURPOSE];
  return !purpose ? undefined : (parseJson(Buffer.from(purpose).toString()) as Purpose);
}

/** What is in it stays, out of the way of all that reads values: a worker has to replay by it what was done before. */
function refused({ metadata, data }: Payload, reason: string): Payload {
  return { metadata: { encoding: Buffer.from(REFUSED_ENCODING), [REFUSAL]: Buffer.from(reason), [ORIGINAL_ENCODING]: metadata?.encoding ?? new Uint8Array() }, data };
}
