/** Entries of a PATH that mean the same wherever one stands: a relative or empty one would run what lies in the working directory. */
export function absoluteEntries(searchPath: string): string[] {
  return [...new Set(searchPath.split(':').filter((entry) => entry.startsWith('/')))];
}
