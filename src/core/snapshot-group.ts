/** What says which snapshots follow one another. */
export interface SnapshotOrigin {
  readonly host: string;
  readonly sources: readonly string[];
}

/** The same text for all snapshots of the same sources of one host: retention and `--latest` go by it. */
export function snapshotGroup({ host, sources }: SnapshotOrigin): string {
  return JSON.stringify([host, ...[...sources].sort()]);
}

/** The members of each group in their order. */
export function inGroups<Member>(members: readonly Member[], groupOf: (member: Member) => string): Map<string, Member[]> {
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    const group = groupOf(member);
    const others = groups.get(group);
    if (others === undefined) groups.set(group, [member]);
    else others.push(member);
  }
  return groups;
}

/** Which snapshots a person asks for; what is not said does not matter. */
export interface SnapshotFilter {
  readonly host?: string;
  /** Any one of them is enough. */
  readonly tags: readonly string[];
  /** Any one of these must be among the snapshot's sources. */
  readonly sources: readonly string[];
}

/** True for a snapshot that all given conditions hold for. */
export function isAskedFor(snapshot: SnapshotOrigin & { readonly tags: readonly string[] }, { host, tags, sources }: SnapshotFilter): boolean {
  if (host !== undefined && snapshot.host !== host) return false;
  if (tags.length > 0 && !tags.some((tag) => snapshot.tags.includes(tag))) return false;
  return sources.length === 0 || sources.some((source) => snapshot.sources.includes(source));
}
