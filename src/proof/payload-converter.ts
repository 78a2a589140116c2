import { defaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';
import { decode, encode } from '@temporalio/common/lib/encoding';
import { parseJson } from '../core/parse-json';
import { Bound, Refused, type Purpose } from './bound';

/** Metadata of a payload that says what it is for. */
export const PURPOSE = 'file-backup-purpose';

/** Encoding of what a codec has refused: its data is as it was, with the reason and the encoding that it had in the metadata. */
export const REFUSED_ENCODING = 'file-backup/refused';
export const REFUSAL = 'file-backup-refusal';
export const ORIGINAL_ENCODING = 'file-backup-original-encoding';

/** Of one run: the sandbox has a module of its own for each. */
let areOriginalsHandedOut = false;

/** From here on values are what they were when nothing was asked of them: for a run whose history is of that time. */
export function handOutOriginals(): void {
  areOriginalsHandedOut = true;
}

/** What a worker without a key would have taken a value for. */
export function originalOf(value: unknown): unknown {
  if (value instanceof Refused) return value.original();
  return value instanceof Bound ? value.value : value;
}

/**
 * Carries purposes beside values: they stand in the metadata, so that the data stays what everybody can read. Used in
 * the sandbox of workflows and outside of it; signatures are the codec's work.
 */
export const payloadConverter: PayloadConverter = {
  toPayload<T>(value: T): Payload {
    if (!(value instanceof Bound)) return defaultPayloadConverter.toPayload(value);
    const payload = defaultPayloadConverter.toPayload(value.value);
    return { ...payload, metadata: { ...payload.metadata, [PURPOSE]: encode(JSON.stringify(value.purpose)) } };
  },

  fromPayload<T>(payload: Payload): T {
    const value = valueOf(payload);
    return (areOriginalsHandedOut ? originalOf(value) : value) as T;
  },
};

function valueOf(payload: Payload): unknown {
  const { metadata } = payload;
  if (metadata?.encoding && decode(metadata.encoding) === REFUSED_ENCODING) return refusedOf(payload);
  const purpose = metadata?.[PURPOSE];
  const value: unknown = defaultPayloadConverter.fromPayload(payload);
  return !purpose ? value : new Bound(value, parseJson(decode(purpose)) as Purpose);
}

function refusedOf({ metadata, data }: Payload): Refused {
  const [reason, encoding] = [metadata?.[REFUSAL], metadata?.[ORIGINAL_ENCODING]];
  return new Refused(decode(reason ?? new Uint8Array()), () => defaultPayloadConverter.fromPayload({ metadata: encoding ? { encoding } : {}, data }));
}
