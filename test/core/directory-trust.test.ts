import { isClosed, isOwned, isTrustedDirectory, rightsText } from '../../src/core/directory-trust';

const alice = { uid: 1000, gid: 1000 };
const root = { uid: 0, gid: 0 };

describe('nobody but the running user and root can replace entries in', () => {
  test.each([
    ['a directory of the user\'s own', alice, { uid: 1000, gid: 1000, mode: 0o40755 }],
    ['one that his own primary group may write to', alice, { uid: 1000, gid: 1000, mode: 0o40775 }],
    ['one of root', alice, { uid: 0, gid: 0, mode: 0o40755 }],
    ['a sticky one of root', alice, { uid: 0, gid: 0, mode: 0o41777 }],
    ['a sticky one of root, for root', root, { uid: 0, gid: 0, mode: 0o41777 }],
  ])('%s', (_title, self, rights) => {
    expect(isTrustedDirectory(rights, self)).toBe(true);
  });
});

describe('somebody else can replace entries in', () => {
  test.each([
    ['a directory of another user', alice, { uid: 1001, gid: 1000, mode: 0o40755 }],
    ['a sticky one of another user', alice, { uid: 1001, gid: 1001, mode: 0o41777 }],
    ['one that everybody may write to', alice, { uid: 1000, gid: 1000, mode: 0o40777 }],
    ['one that another group may write to', alice, { uid: 1000, gid: 50, mode: 0o40775 }],
    ['one that root\'s group may write to, for root', root, { uid: 0, gid: 0, mode: 0o40775 }],
    ['one of a user, for root', root, { uid: 1000, gid: 1000, mode: 0o40700 }],
  ])('%s', (_title, self, rights) => {
    expect(isTrustedDirectory(rights, self)).toBe(false);
  });
});

test('a file must be the user\'s or root\'s, and closed to others, whatever its sticky bit says', () => {
  expect([isOwned({ uid: 0, gid: 5, mode: 0o100755 }, alice), isClosed({ uid: 0, gid: 5, mode: 0o101777 }, alice)]).toEqual([true, false]);
});

test('rights read as people know them', () => {
  expect(rightsText({ uid: 1000, gid: 50, mode: 0o41777 })).toBe('1000:50 1777');
});
