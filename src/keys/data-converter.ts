import type { DataConverter } from '@temporalio/common';
import { createPayloadCodec, type CodecOptions } from './payload-codec';

/** For clients without keys. */
export const keylessConverter: DataConverter = { payloadConverterPath: require.resolve('../proof/tolerant-converter') };

/** For Temporal's clients and workers; the bundle of the workflows has the same converter in it. */
export function signingConverter(options: CodecOptions): DataConverter {
  return { payloadConverterPath: require.resolve('../proof/payload-converter'), payloadCodecs: [createPayloadCodec(options)] };
}
