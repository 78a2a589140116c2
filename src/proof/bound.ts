/**
 * `start`, `scheduled`, `continued` and `child` are how the input of a workflow comes about; `step` is the input of an
 * activity. `plain` is what a worker's codec has verified and nobody has bound to anything.
 */
export type PurposeKind =
  | 'start' | 'scheduled' | 'continued' | 'child' | 'result' | 'failure' | 'memo'
  | 'step' | 'stepResult' | 'stepFailure'
  | 'update' | 'updateResult' | 'updateFailure' | 'query' | 'answer'
  | 'schedule' | 'plain';

/** What a payload is for: flat, so that it compares field by field. */
export interface Purpose {
  readonly kind: PurposeKind;
  readonly [field: string]: string | number | boolean;
}

/** A value together with what it is for; on its way as a payload both are under one signature. */
export class Bound {
  constructor(
    readonly value: unknown,
    readonly purpose: Purpose,
  ) {}
}

/** Stands where a payload stood that was not signed, or not for this place. */
export class Refused {
  readonly #original: () => unknown;

  constructor(
    readonly reason: string,
    original: () => unknown = () => undefined,
  ) {
    this.#original = original;
  }

  /** What was there: for replaying what was done by it once, and for nothing else. */
  original(): unknown {
    return this.#original();
  }
}

/** Says what is wrong with a value, in words that follow "it". */
export class NotProven extends Error {
  override readonly name = 'NotProven';
}

/** Binds arguments to what they are for, each to its place among them. */
export function bindAll(values: readonly unknown[], purpose: Purpose): Bound[] {
  return values.map((value, index) => new Bound(value, { ...purpose, index, count: values.length }));
}

/** What was bound, if it was for this. @throws NotProven */
export function open<Value>(value: unknown, expected: Purpose): { readonly value: Value; readonly purpose: Purpose } {
  const bound = requireBound(value);
  if (!fits(bound.purpose, expected)) throw new NotProven('was made for something else');
  return { value: bound.value as Value, purpose: bound.purpose };
}

/** Arguments that were bound together, and what for. @throws NotProven */
export function openAll(values: readonly unknown[]): { readonly values: unknown[]; readonly purpose: Purpose } {
  const all = values.map(requireBound);
  const [first] = all;
  if (first === undefined) throw new NotProven('is empty');
  const wrong = all.some(({ purpose }, index) => !fits(purpose, { ...first.purpose, index, count: values.length }));
  if (wrong) throw new NotProven('was put together from parts of others');
  return { values: all.map(({ value }) => value), purpose: first.purpose };
}

function requireBound(value: unknown): Bound {
  if (value instanceof Refused) throw new NotProven(value.reason);
  if (!(value instanceof Bound)) throw new NotProven('is not signed');
  return value;
}

/** Each kind has its own fields: what is not expected is of no matter. */
function fits(purpose: Purpose, expected: Purpose): boolean {
  return Object.entries(expected).every(([name, value]) => Object.hasOwn(purpose, name) && purpose[name] === value);
}
