import { defaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';
import { decode, encode } from '@temporalio/common/lib/encoding';
import { parseJson } from '../core/parse-json';
import { Bound, Refused, type Purpose } from './bound';

/** Metadata of a payload that says what it is for. */
export const PURPOSE = 'file-backup-purpose';

/** Encoding of what a codec has put in the place of a payload that it refused; the data is the reason. */
export const REFUSED_ENCODING = 'file-backup/refused';

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
    const { metadata } = payload;
    if (metadata?.encoding && decode(metadata.encoding) === REFUSED_ENCODING) return new Refused(decode(payload.data ?? new Uint8Array())) as T;
    const purpose = metadata?.[PURPOSE];
    const value = defaultPayloadConverter.fromPayload<T>(payload);
    return !purpose ? value : (new Bound(value, parseJson(decode(purpose)) as Purpose) as T);
  },
};
