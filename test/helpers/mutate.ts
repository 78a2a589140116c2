import type { SeededRandom } from './seeded-random';

type Json = unknown;
type Path = readonly string[];

/** Every place in a value, itself first. */
function placesOf(value: Json, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => placesOf(inner, [...at, key]))];
}

function at(value: Json, path: Path): Json {
  return path.reduce<Json>((inner, key) => (inner as Record<string, Json>)[key], value);
}

/** A copy with another value in one place; undefined takes the field away. */
function withValue(value: Json, [key, ...rest]: Path, replacement: Json): Json {
  if (key === undefined) return replacement;
  const copy = (Array.isArray(value) ? [...(value as Json[])] : { ...(value as object) }) as Record<string, Json>;
  copy[key] = withValue(copy[key], rest, replacement);
  if (rest.length === 0 && replacement === undefined) Reflect.deleteProperty(copy, key);
  return copy;
}

/** Values that are trouble wherever they stand. */
const hostile: readonly Json[] = [null, true, -1, 0, 0.5, 2 ** 53, 1e308, -0, '', '.', '..', '/', '//', '../../etc/passwd', '/etc/passwd', 'a\0b', '\u001b[2J\u202e', '\ud800', 'x'.repeat(5000), [], {}, [[]], { length: -1 }, { toString: 5 }, { then: 5 }];

/** Changes values as somebody would who knows their structure, or nothing of it. */
export class Mutator {
  private readonly byKey = new Map<string, Json[]>();
  private readonly values: Json[];

  /** @param corpus values whose parts are put into other places of their kind @param words further texts */
  constructor(
    private readonly random: SeededRandom,
    corpus: readonly Json[],
    private readonly words: readonly string[],
  ) {
    for (const value of corpus) for (const path of placesOf(value)) this.learn(path.at(-1) ?? '', at(value, path));
    this.values = [...this.byKey.values()].flat();
  }

  mutate(value: Json): Json {
    let mutated = value;
    for (let count = this.random.pick([1, 1, 1, 2, 3]); count > 0; count -= 1) mutated = this.random.next() < 0.1 ? this.bytes(mutated) : this.structure(mutated);
    return mutated;
  }

  private learn(key: string, value: Json): void {
    const known = this.byKey.get(key) ?? [];
    known.push(value);
    this.byKey.set(key, known);
  }

  private structure(value: Json): Json {
    const path = this.random.pick(placesOf(value));
    const old = at(value, path);
    const roll = this.random.next();
    // Mostly what may stand there as well, so that it gets past the schema.
    if (roll < 0.5) return withValue(value, path, this.alike(path.at(-1) ?? '', old));
    if (roll < 0.6) return withValue(value, path, undefined);
    if (roll < 0.75) return withValue(value, path, this.random.pick(hostile));
    if (roll < 0.85) return withValue(value, path, this.random.pick(this.values));
    if (typeof old === 'object' && old !== null) return withValue(value, [...path, Array.isArray(old) ? String(old.length) : this.random.pick(['__proto__', 'constructor', 'extra', 'toString'])], this.random.pick(hostile));
    return withValue(value, path, this.alike('', old));
  }

  private alike(key: string, old: Json): Json {
    if (this.random.next() < 0.5) return this.random.pick(this.byKey.get(key) ?? this.values);
    if (typeof old === 'number') return old + this.random.pick([-1, 1, 7, 1000, 1_000_000, 90_000_000]);
    if (typeof old === 'boolean') return !old;
    if (typeof old === 'string') return this.random.pick(this.words);
    return this.random.pick(this.values);
  }

  /** Flips, doubles and drops bytes of the text; what is no JSON any more stays text. */
  private bytes(value: Json): Json {
    const bytes = [...Buffer.from(JSON.stringify(value) ?? '')];
    if (bytes.length === 0) return value;
    for (let count = this.random.whole(1, 5); count > 0; count -= 1) {
      const place = this.random.whole(0, bytes.length);
      const roll = this.random.next();
      if (roll < 0.5) bytes[place] = (bytes[place] ?? 0) ^ (1 << this.random.whole(0, 8));
      else if (roll < 0.75) bytes.splice(place, this.random.whole(1, 5));
      else bytes.splice(place, 0, ...bytes.slice(place, place + this.random.whole(1, 9)));
    }
    const text = Buffer.from(bytes).toString();
    try {
      return JSON.parse(text) as Json;
    } catch {
      return text;
    }
  }
}
