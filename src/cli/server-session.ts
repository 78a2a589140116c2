import { resolve } from 'node:path';
import { namedServer, type ServerAddress } from '../client/connect';
import { cacheDirectory, listDirectory, stateDirectory } from '../config';
import { SEARCH_ATTRIBUTES } from '../core/names';
import { choosePayloadKeys } from '../keys/choose-keys';
import type { PayloadKeys } from '../keys/payload-keys';
import { resolveTemporalBinary } from '../server/binary';
import { acquireEmbeddedServer } from '../server/embedded';
import { requireTrustedState } from '../server/state-files';
import { readChoice } from './connect';
import type { ServerOptions } from './options';
import type { Output } from './output';

/** The Temporal server that a command uses: the one that was named, or the embedded one for as long as it is used. */
export interface ServerSession extends ServerAddress {
  readonly stateDirectory: string;
  /** Undefined where none are wanted. */
  readonly payloadKeys: PayloadKeys | undefined;
  readonly isEmbedded: boolean;
  readonly webUiAddress: string | undefined;
  /** Address of a run's page in the Web UI; undefined for a named server whose Web UI is not known. */
  webUi(run: { workflowId: string; runId: string }): string | undefined;
  /** Whether a server that does not answer may do so again: an embedded one whose process has ended stays away. */
  mayComeBack(): boolean;
  /** Gives the embedded server up; it ends when nobody else uses it. */
  release(): Promise<void>;
}

export interface EmbeddedOptions {
  readonly port?: number;
  readonly uiPort?: number;
  /** Called while the embedded server comes up. */
  readonly whileStarting?: () => void;
}

/** @throws NoTemporalServerError */
export async function openServer(options: ServerOptions, output: Output, whileStarting?: () => void): Promise<ServerSession> {
  const named = readChoice(() => namedServer(options));
  if (named === undefined) return openEmbeddedServer(options, output, { whileStarting });
  requireTrustedState(stateDirectoryOf(options));
  return sessionOf(named, options, process.env.FILE_BACKUP_UI_ADDRESS);
}

/** @throws NoTemporalServerError */
export async function openEmbeddedServer(options: ServerOptions, output: Output, embedded: EmbeddedOptions = {}): Promise<ServerSession> {
  const log = (message: string): void => output.note(message);
  const binary = async (): Promise<string> => (await resolveTemporalBinary({ cacheDirectory: cacheDirectory(), env: process.env, log })).path;
  const server = await acquireEmbeddedServer({ ...embedded, stateDirectory: stateDirectoryOf(options), binary, searchAttributes: SEARCH_ATTRIBUTES, log });
  const address = { namespace: options.namespace ?? server.namespace, connectionOptions: { address: server.address } };
  return { ...sessionOf(address, options, server.uiAddress), isEmbedded: true, mayComeBack: () => server.isRunning(), release: () => server.release({ wait: false }) };
}

function sessionOf(address: ServerAddress, options: ServerOptions, webUiAddress: string | undefined): ServerSession {
  return {
    ...address,
    stateDirectory: stateDirectoryOf(options),
    payloadKeys: payloadKeysOf(options),
    isEmbedded: false,
    mayComeBack: () => true,
    webUiAddress,
    webUi: (run) => webUiAddress && runPage(webUiAddress, address.namespace, run),
    release: () => Promise.resolve(),
  };
}

/** Where a command writes lists for workers of this host: they may read it whatever their roots are. */
export function listDirectoryOf(options: Pick<ServerOptions, 'stateDir'>): string {
  return listDirectory(stateDirectoryOf(options));
}

/** @throws PayloadKeyError */
export function payloadKeysOf({ payloadKey, encryptPayloads, ...options }: Pick<ServerOptions, 'payloadKey' | 'encryptPayloads' | 'stateDir'>): PayloadKeys | undefined {
  return choosePayloadKeys({ keyFile: payloadKey, encrypt: encryptPayloads, stateDirectory: stateDirectoryOf(options) });
}

export function stateDirectoryOf({ stateDir }: Pick<ServerOptions, 'stateDir'>): string {
  return stateDir === undefined ? stateDirectory() : resolve(stateDir);
}

function runPage(address: string, namespace: string, { workflowId, runId }: { workflowId: string; runId: string }): string {
  const parts = ['namespaces', namespace, 'workflows', workflowId, runId];
  return [address.replace(/\/$/, ''), ...parts.map(encodeURIComponent)].join('/');
}
