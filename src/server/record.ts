import { rmSync } from 'node:fs';
import { parseObject, readIfPresent, replaceFile } from './files';
import { parseIdentity, type ProcessIdentity } from './process-identity';

const VERSION = 1;

/** What the commands of one user know of the server they share. Written from the moment it is spawned. */
export interface ServerRecord {
  readonly state: 'starting' | 'running' | 'stopping';
  readonly process: ProcessIdentity;
  /** Host and port of the gRPC service. */
  readonly address: string;
  /** URL of the Web UI. */
  readonly uiAddress: string;
  /** Host and port of the server's HTTP API, by which it is recognised without loading a gRPC client. */
  readonly apiAddress: string;
  /** Set once the server has answered. It belongs to the database, so a server of other data never has it. */
  readonly clusterId?: string;
}

/** The record; undefined when there is none, 'unreadable' when the file holds anything but one of this version. */
export function readRecord(path: string): ServerRecord | 'unreadable' | undefined {
  const text = readIfPresent(path);
  return text === undefined ? undefined : (parseRecord(text) ?? 'unreadable');
}

/** Replaces the record as a whole. Only the holder of the lock may. */
export function writeRecord(path: string, { process: { pid, startedAt }, ...rest }: ServerRecord): void {
  replaceFile(path, `${JSON.stringify({ version: VERSION, pid, startedAt, ...rest }, null, 2)}\n`);
}

/** Removes the record. Only the holder of the lock may. */
export function removeRecord(path: string): void {
  rmSync(path, { force: true });
}

function parseRecord(text: string): ServerRecord | undefined {
  const value = parseObject(text);
  const identity = parseIdentity(value);
  if (!value || !identity || value.version !== VERSION) return undefined;
  const { state, address, uiAddress, apiAddress, clusterId } = value;
  if (state !== 'starting' && state !== 'running' && state !== 'stopping') return undefined;
  if (typeof address !== 'string' || typeof uiAddress !== 'string' || typeof apiAddress !== 'string') return undefined;
  if (state === 'running' && typeof clusterId !== 'string') return undefined;
  return { state, process: identity, address, uiAddress, apiAddress, ...(typeof clusterId === 'string' && { clusterId }) };
}
