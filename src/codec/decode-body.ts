import { z } from 'zod';
import { parseJson } from '../core/parse-json';
import type { PayloadKeys } from '../keys/payload-keys';
import { readable } from '../keys/sealed-payload';

/** As protocol buffers have it in JSON. */
const PayloadJson = z.looseObject({ metadata: z.record(z.string(), z.base64()).optional(), data: z.base64().optional() });
const Body = z.object({ payloads: z.array(PayloadJson) });

type PayloadJson = z.infer<typeof PayloadJson>;

/**
 * The body of a request with what was sealed for the namespace opened, and all else as it is.
 * @throws MalformedJsonError, ZodError
 */
export function decodeBody(text: string, namespace: string | undefined, keys: PayloadKeys): string {
  const { payloads } = Body.parse(parseJson(text));
  return JSON.stringify({ payloads: payloads.map((payload) => decoded(payload, namespace, keys)) });
}

function decoded(found: PayloadJson, namespace: string | undefined, keys: PayloadKeys): PayloadJson {
  const opened = readable({ metadata: mapped(found.metadata, (value) => Buffer.from(value, 'base64')), data: Buffer.from(found.data ?? '', 'base64') }, namespace, keys);
  if (opened === undefined) return found;
  return { metadata: mapped(opened.metadata ?? {}, base64), data: base64(opened.data ?? new Uint8Array()) };
}

function mapped<From, To>(fields: Readonly<Record<string, From>> | undefined, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [name, change(value)]));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
