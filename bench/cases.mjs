const KIB = 1024;
const MIB = 1024 * 1024;

/** The data of the comparison. Sizes are drawn evenly from the range. */
const cases = {
  a: { title: '5,000 files of 0.2 to 30 KB', files: 5000, sizeBytes: [200, 30_000] },
  b: { title: '4 files of 256 MiB', files: 4, sizeBytes: [256 * MIB, 256 * MIB] },
  c: { title: '100,000 files of 0.2 to 4 KB', files: 100_000, sizeBytes: [200, 4000] },
};

/** A case by its letter, smaller by the scale: fewer small files, or smaller large ones. */
export function caseOf(name, scale) {
  const found = cases[name];
  if (found === undefined) throw new Error(`There is no case "${name}"; there are ${Object.keys(cases).join(', ')}`);
  const title = scale === 1 ? found.title : `${found.title}, scaled by ${scale}`;
  if (found.files < 100) return { ...found, name, title, sizeBytes: found.sizeBytes.map((size) => Math.round(size * scale)) };
  return { ...found, name, title, files: Math.round(found.files * scale) };
}

/** Sizes of the growth table. Tiny files: the cost is all in their number. */
export const growthCases = [10_000, 100_000, 1_000_000].map((files) => ({ name: `growth-${files}`, title: `${files.toLocaleString('en')} files of 16 to 64 bytes`, files, sizeBytes: [16, 64] }));

/** Room that one copy of a case takes: small files fill a block each, and an inode. */
export function roomOf({ files, sizeBytes: [least, most] }) {
  return files * ((least + most) / 2 + 5 * KIB);
}
