import { z } from 'zod';
import { deepFreeze } from '../core/deep-freeze';

/** The schema of a run's record. */
export type RecordSchema = z.ZodObject<{ success: z.ZodBoolean } & z.ZodRawShape>;

/**
 * Reads the record of a run that another version of the program may have written. What this version does not know is
 * left out; what it misses, or cannot make sense of, is as in `neutral`: a run that has ended must never be taken for one
 * that has not because of a field.
 * @returns undefined for what is no record: it does not say whether the run succeeded
 */
export function readOutput<Schema extends RecordSchema>(schema: Schema, record: unknown, neutral: z.output<Schema>): z.output<Schema> | undefined {
  const known = (typeof record === 'object' ? record : null) as Readonly<Record<string, unknown>> | null;
  if (typeof known?.success !== 'boolean') return undefined;
  const fields = Object.entries(schema.shape as unknown as Record<string, z.ZodType>).map(([name, field]) => {
    const read = lenient(field).safeParse(known[name]);
    return [name, read.success ? read.data : (neutral as Readonly<Record<string, unknown>>)[name]];
  });
  return deepFreeze(Object.fromEntries(fields) as z.output<Schema>);
}

/** The same schema for readers: objects with further fields, and longer lists, are no errors. */
function lenient(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodObject) return z.object(Object.fromEntries(Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, field]) => [name, lenient(field)])));
  if (schema instanceof z.ZodArray) return z.array(lenient(schema.element as z.ZodType));
  if (schema instanceof z.ZodNullable) return lenient(schema.unwrap() as z.ZodType).nullable();
  return schema;
}
