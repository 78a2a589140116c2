import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { choosePayloadKeys } from '../../src/keys/choose-keys';
import { codecToken, keyFileOf, PayloadKeyError, readKeyFile, stateKeys, tokenFileOf } from '../../src/keys/key-file';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-backup-keys-'));
  path = keyFileOf(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const line = 'ab'.repeat(32);
const asRoot = process.geteuid?.() === 0 ? test : test.skip;

function write(text = `${line}\n`, mode = 0o600): void {
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
}

test('a state directory gets one key of 32 random bytes, for its owner alone, and keeps it', () => {
  const fresh = join(directory, 'state', 'deeper');
  const [key] = stateKeys(fresh);
  expect(key).toHaveLength(32);
  expect(stateKeys(fresh)).toEqual([key]);
  expect([statSync(keyFileOf(fresh)).mode & 0o777, statSync(fresh).mode & 0o777, readdirSync(fresh)]).toEqual([0o600, 0o700, ['payload.key']]);
  expect(readFileSync(keyFileOf(fresh), 'utf8')).toBe(`${key?.toString('hex')}\n`);
});

test('the token of the codec endpoint is another secret, made and guarded as a key', () => {
  const token = codecToken(directory);
  expect([token.length, token.equals(stateKeys(directory)[0]!), codecToken(directory).equals(token), statSync(tokenFileOf(directory)).mode & 0o777]).toEqual([32, false, true, 0o600]);
  chmodSync(tokenFileOf(directory), 0o640);
  expect(() => codecToken(directory)).toThrow('others may read or change it');
});

test('several processes that make it at once have one key', async () => {
  const script = `const { stateKeys } = require(${JSON.stringify(join(__dirname, '../../lib/keys/key-file.js'))}); process.stdout.write(stateKeys(${JSON.stringify(directory)})[0].toString('hex'));`;
  const { spawn } = await import('node:child_process');
  const keys = await Promise.all(Array.from({ length: 6 }, () => new Promise<string>((resolve) => {
    let text = '';
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (data: Buffer) => (text += data.toString()));
    child.on('close', () => resolve(text));
  })));
  expect(new Set(keys).size).toBe(1);
  expect(readdirSync(directory)).toEqual(['payload.key']);
});

test.each([0o640, 0o604, 0o660, 0o602])('a key file that others may read or change is refused, mode %o', (mode) => {
  write(undefined, mode);
  expect(() => stateKeys(directory)).toThrow(/others may read or change it .* chmod 600/);
});

asRoot('a key that another user has made beforehand is refused', () => {
  write();
  chownSync(path, 12345, 12345);
  expect(() => stateKeys(directory)).toThrow('it belongs to user 12345, who knows it');
});

test('a link is refused, and what it leads to is not read', () => {
  writeFileSync(join(directory, 'elsewhere'), `${line}\n`, { mode: 0o600 });
  symlinkSync(join(directory, 'elsewhere'), path);
  expect(() => stateKeys(directory)).toThrow('it is a link');
});

test('a link into nowhere makes no file there', () => {
  symlinkSync(join(directory, 'nowhere'), path);
  expect(() => stateKeys(directory)).toThrow(PayloadKeyError);
  expect(existsSync(join(directory, 'nowhere'))).toBe(false);
});

test('a FIFO or a directory is refused at once', () => {
  execFileSync('mkfifo', ['-m', '600', path]);
  expect(() => stateKeys(directory)).toThrow('it is not a regular file');
  rmSync(path);
  mkdirSync(path, { mode: 0o700 });
  expect(() => stateKeys(directory)).toThrow('it is not a regular file');
});

test('what is no key is refused, and not shown', () => {
  for (const [text, complaint] of [['', 'it holds no key'], ['# nothing\n\n', 'it holds no key'], [`${line}\nsecret words\n`, 'its key 2 is not 64 hexadecimal digits'], [`${line.slice(1)}\n`, 'its key 1']]) {
    write(text);
    expect(() => readKeyFile(path)).toThrow(complaint);
    expect(() => readKeyFile(path)).not.toThrow('secret');
  }
  write('x'.repeat(70_000));
  expect(() => readKeyFile(path)).toThrow('larger than');
});

test('keys are chosen by option, then by the environment, then by the state directory', () => {
  const named = join(directory, 'named.key');
  writeFileSync(named, `# the new one\n${'cd'.repeat(32)}\n\n${line}\n`, { mode: 0o600 });
  const ids = (choice: Parameters<typeof choosePayloadKeys>[0], env: Record<string, string> = {}) => choosePayloadKeys({ stateDirectory: directory, ...choice }, env)?.ring.map(({ id }) => id);
  expect(ids({ keyFile: named })).toHaveLength(2);
  expect(ids({}, { FILE_BACKUP_PAYLOAD_KEY: named })).toEqual(ids({ keyFile: named }));
  expect(existsSync(path)).toBe(false);
  expect(ids({})).toHaveLength(1);
  expect(ids({ keyFile: 'none' })).toBeUndefined();
  expect(() => ids({ keyFile: join(directory, 'missing') })).toThrow('cannot be read (ENOENT)');
  expect([choosePayloadKeys({ stateDirectory: directory }, { FILE_BACKUP_ENCRYPT_PAYLOADS: '1' })?.encrypt, choosePayloadKeys({ stateDirectory: directory }, {})?.encrypt]).toEqual([true, false]);
});
