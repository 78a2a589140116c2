import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';

/** How to reach a Temporal server. */
export interface ServerAddress {
  readonly namespace: string;
  /** For `Connection.connect` and `NativeConnection.connect` alike: address, TLS, API key. */
  readonly connectionOptions: Omit<ClientConnectConfig['connectionOptions'], 'apiKey'> & { readonly apiKey?: string };
}

export interface ServerChoice {
  readonly address?: string;
  readonly namespace?: string;
  /** Profile in the Temporal configuration file. */
  readonly profile?: string;
}

const LOCAL_ADDRESS = '127.0.0.1:7233';

/**
 * The server that the user named, by options, environment (`TEMPORAL_ADDRESS`, …) or profile, read as all Temporal
 * tools read them; undefined when none was named.
 */
export function namedServer(choice: ServerChoice, env: NodeJS.ProcessEnv = process.env): ServerAddress | undefined {
  const { namespace = 'default', connectionOptions } = loadClientConnectConfig({
    ...(choice.profile === undefined ? {} : { profile: choice.profile }),
    overrideEnvVars: env as Record<string, string>,
  });
  const { address: configured, tls, apiKey, metadata } = connectionOptions;
  const address = choice.address ?? configured;
  if (address === undefined) return undefined;
  return { namespace: choice.namespace ?? namespace, connectionOptions: { address, tls, apiKey, metadata } };
}

/** The named server, or the one that `temporal server start-dev` opens on this machine. */
export function serverOrLocal(choice: ServerChoice, env: NodeJS.ProcessEnv = process.env): ServerAddress {
  const named = namedServer(choice, env);
  return named ?? { namespace: choice.namespace ?? env.TEMPORAL_NAMESPACE ?? 'default', connectionOptions: { address: LOCAL_ADDRESS } };
}
