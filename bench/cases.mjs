const KIB = 1024;
const MIB = 1024 * 1024;

const MANY_SMALL = { files: 100_000, sizeBytes: [200, 4000] };
const MANY_SMALL_TEXT = '100,000 files of 0.2 to 4 KB';

/** The data of the comparison, and what is done with it: copying, unless a contest is named. Sizes are drawn evenly from the range. */
const cases = {
  a: { title: '5,000 files of 0.2 to 30 KB', files: 5000, sizeBytes: [200, 30_000] },
  b: { title: '4 files of 256 MiB', files: 4, sizeBytes: [256 * MIB, 256 * MIB] },
  c: { title: MANY_SMALL_TEXT, ...MANY_SMALL },
  'snapshot-first': { contest: 'snapshot-first', title: `First snapshot of ${MANY_SMALL_TEXT}`, ...MANY_SMALL },
  'snapshot-unchanged': { contest: 'snapshot-unchanged', title: `Second snapshot of ${MANY_SMALL_TEXT}, all unchanged`, ...MANY_SMALL },
  'snapshot-changed': { contest: 'snapshot-changed', title: `Second snapshot of ${MANY_SMALL_TEXT}, 1 % of them changed`, ...MANY_SMALL },
  restore: { contest: 'restore', title: `Restore of ${MANY_SMALL_TEXT} into an empty directory`, ...MANY_SMALL },
};

export const caseNames = Object.keys(cases);

/** A case by its name, smaller by the scale: fewer small files, or smaller large ones. */
export function caseOf(name, scale) {
  const found = cases[name];
  if (found === undefined) throw new Error(`There is no case "${name}"; there are ${caseNames.join(', ')}`);
  const contest = found.contest ?? 'copy';
  const title = scale === 1 ? found.title : `${found.title}, scaled by ${scale}`;
  if (found.files < 100) return { ...found, contest, name, title, sizeBytes: found.sizeBytes.map((size) => Math.round(size * scale)) };
  return { ...found, contest, name, title, files: Math.round(found.files * scale) };
}

/** Sizes of the growth table. Tiny files: the cost is all in their number. */
export const growthCases = [10_000, 100_000, 1_000_000].map((files) => ({ name: `growth-${files}`, title: `${files.toLocaleString('en')} files of 16 to 64 bytes`, files, sizeBytes: [16, 64] }));

/** Room that one copy of a case takes: small files fill a block each, and an inode. */
export function roomOf({ files, sizeBytes: [least, most] }) {
  return files * ((least + most) / 2 + 5 * KIB);
}
