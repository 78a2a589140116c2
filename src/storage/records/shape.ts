/**
 * What a value out of a file has to look like. Answers nothing for a value that fits, otherwise the place where it does not,
 * as `counts.files`, and the empty text for the value itself: never what stands there, which may be somebody's secret.
 */
export interface Shape<T> {
  (value: unknown): string | undefined;
  /** Only for the compiler: which type fits. */
  readonly fits?: T;
}

const HERE = '';

/** Text of so many characters at most, of a pattern where one is given. */
export function text(maxLength: number, pattern?: RegExp): Shape<string> {
  return (value) => (typeof value === 'string' && value.length <= maxLength && (pattern === undefined || pattern.test(value)) ? undefined : HERE);
}

export function wholeNumber(max = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value) => (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max ? undefined : HERE);
}

export const flag: Shape<boolean> = (value) => (typeof value === 'boolean' ? undefined : HERE);

/** One of a few texts, numbers or truth values. */
export function oneOf<const T extends string | number | boolean>(...values: readonly T[]): Shape<T> {
  return (value) => (values.includes(value as T) ? undefined : HERE);
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value) => (value === null ? undefined : shape(value));
}

/** A field that may be left out. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value) => (value === undefined ? undefined : shape(value));
}

/** One shape or the other; where neither fits, the second one says where. */
export function either<A, B>(first: Shape<A>, second: Shape<B>): Shape<A | B> {
  return (value) => (first(value) === undefined ? undefined : second(value));
}

export function arrayOf<T>(shape: Shape<T>, maxItems: number): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length > maxItems) return HERE;
    const wrong = value.findIndex((item) => shape(item) !== undefined);
    return wrong < 0 ? undefined : below(String(wrong), shape(value[wrong]) ?? HERE);
  };
}

/** Values under any names, but for the one that stands for an object's prototype. */
export function mapOf<T>(shape: Shape<T>, maxEntries: number): Shape<Readonly<Record<string, T>>> {
  return (value) => {
    if (!isPlainObject(value)) return HERE;
    const entries = Object.entries(value);
    return entries.length <= maxEntries && entries.every(([name, item]) => name !== '__proto__' && shape(item) === undefined) ? undefined : HERE;
  };
}

type Fields<T> = { readonly [Name in keyof T]-?: Shape<T[Name]> };

/**
 * An object of exactly these fields. A field that is not known is refused: whoever adds one raises the version of the format
 * or leaves the reading of older files alone, and what passes here can be handed on, spread and written as it is.
 */
export function objectOf<T extends object>(fields: Fields<T>): Shape<T> {
  const names = Object.keys(fields);
  const shapes = names.map((name) => fields[name as keyof T] as Shape<unknown>);
  return (value) => {
    if (!isPlainObject(value)) return HERE;
    let known = 0;
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index] as string;
      // What comes out of JSON inherits nothing but what no field of ours is called.
      const item = value[name];
      if (item !== undefined) known += 1;
      const wrong = (shapes[index] as Shape<unknown>)(item);
      if (wrong !== undefined) return below(name, wrong);
    }
    // Counted, since that is cheap: the name of an unknown field is somebody else's text.
    return Object.keys(value).length === known ? undefined : HERE;
  };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function below(name: string, wrong: string): string {
  return wrong === HERE ? name : `${name}.${wrong}`;
}
