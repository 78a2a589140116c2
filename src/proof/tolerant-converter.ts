import { defaultPayloadConverter, ValueError, type Payload, type PayloadConverter } from '@temporalio/common';
import { Refused } from './bound';

/**
 * For clients without keys: what only a key opens is `Refused`, and does not end a listing of runs of which others can be
 * read.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: <T>(value: T): Payload => defaultPayloadConverter.toPayload(value),

  fromPayload<T>(payload: Payload): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      return new Refused('cannot be read without its key') as T;
    }
  },
};
