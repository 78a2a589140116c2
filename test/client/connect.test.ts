import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { namedServer, serverOrLocal } from '../../src/client/connect';

let directory: string;
let file: string;
/** A configuration without a default, so that the caller's own one plays no part. */
let none: { TEMPORAL_CONFIG_FILE: string };

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-backup-profiles-'));
  file = join(directory, 'temporal.toml');
  writeFileSync(join(directory, 'client.pem'), 'CERTIFICATE');
  none = { TEMPORAL_CONFIG_FILE: join(directory, 'unused.toml') };
  writeFileSync(none.TEMPORAL_CONFIG_FILE, '[profile.unused]\n');
  writeFileSync(
    file,
    `
[profile.default]
address = "default.example:7233"
namespace = "files"

[profile.cloud]
address = "cloud.example:7233"
api_key = "secret"

[profile.cloud.grpc_meta]
x-team = "storage"

[profile.mutual.tls]
server_name = "server.example"
client_cert_path = "${join(directory, 'client.pem')}"
client_key_data = "KEY"

[profile.mutual]
address = "mutual.example:7233"
`,
  );
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('nothing named means no server, and the local development server for those who ask for it', () => {
  expect(namedServer({}, none)).toBeUndefined();
  expect(namedServer({ namespace: 'files' }, { ...none, TEMPORAL_NAMESPACE: 'others' })).toBeUndefined();
  expect(serverOrLocal({}, none)).toEqual({ namespace: 'default', connectionOptions: { address: '127.0.0.1:7233' } });
  expect(serverOrLocal({}, { ...none, TEMPORAL_NAMESPACE: 'files' }).namespace).toBe('files');
  expect(serverOrLocal({ namespace: 'mine' }, { ...none, TEMPORAL_NAMESPACE: 'files' }).namespace).toBe('mine');
});

test('TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE name a server, without TLS', () => {
  const server = namedServer({}, { ...none, TEMPORAL_ADDRESS: 'host.example:7233', TEMPORAL_NAMESPACE: 'files' });
  expect(server).toEqual({ namespace: 'files', connectionOptions: { address: 'host.example:7233' } });
});

test('an option wins over the environment, and the environment over the profile', () => {
  const env = { TEMPORAL_CONFIG_FILE: file };
  expect(namedServer({}, env)).toMatchObject({ namespace: 'files', connectionOptions: { address: 'default.example:7233' } });
  expect(namedServer({}, { ...env, TEMPORAL_ADDRESS: 'host.example:7233' })).toMatchObject({ namespace: 'files', connectionOptions: { address: 'host.example:7233' } });
  const chosen = namedServer({ address: 'mine.example:7233', namespace: 'mine' }, { ...env, TEMPORAL_ADDRESS: 'host.example:7233', TEMPORAL_NAMESPACE: 'others' });
  expect(chosen).toMatchObject({ namespace: 'mine', connectionOptions: { address: 'mine.example:7233' } });
});

test.each([
  ['option', { profile: 'cloud' }, {}],
  ['environment', {}, { TEMPORAL_PROFILE: 'cloud' }],
])('a profile chosen by %s brings its API key, which turns TLS on, and its headers', (_by, choice, env) => {
  const server = namedServer(choice, { ...env, TEMPORAL_CONFIG_FILE: file });
  expect(server).toMatchObject({ namespace: 'default', connectionOptions: { address: 'cloud.example:7233', apiKey: 'secret', metadata: { 'x-team': 'storage' } } });
  expect(server?.connectionOptions.tls).toBeTruthy();
});

test('certificates are read from the files that the profile names', () => {
  const { tls } = namedServer({ profile: 'mutual' }, { TEMPORAL_CONFIG_FILE: file })?.connectionOptions ?? {};
  expect(tls).toMatchObject({ serverNameOverride: 'server.example' });
  const { crt, key } = (tls as { clientCertPair: { crt: Uint8Array; key: Uint8Array } }).clientCertPair;
  expect([crt, key].map((bytes) => Buffer.from(bytes).toString())).toEqual(['CERTIFICATE', 'KEY']);
});

test('TLS and an API key are taken from the environment too', () => {
  const server = namedServer({}, { ...none, TEMPORAL_ADDRESS: 'host.example:7233', TEMPORAL_API_KEY: 'secret' });
  expect(server?.connectionOptions).toMatchObject({ apiKey: 'secret' });
  expect(server?.connectionOptions.tls).toBeTruthy();
  expect(namedServer({}, { ...none, TEMPORAL_ADDRESS: 'host.example:7233', TEMPORAL_TLS: 'true' })?.connectionOptions.tls).toBeTruthy();
});

test('a profile that is not there is an error, not another server', () => {
  expect(() => namedServer({ profile: 'nobody' }, { TEMPORAL_CONFIG_FILE: file })).toThrow("Profile 'nobody' not found");
});
