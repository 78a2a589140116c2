import { request } from 'node:http';
import { parseJson } from '../core/parse-json';

const ANSWER_WITHIN_MS = 2_000;

/** What the server says of its `default` namespace. */
export interface NamespaceState {
  readonly searchAttributes: readonly string[];
  /** In the API's own form: seconds with an `s`. */
  readonly retention: string;
}

interface NamespaceAnswer {
  readonly config?: { readonly workflowExecutionRetentionTtl?: string; readonly customSearchAttributeAliases?: Record<string, string> };
}

// The server's HTTP API rather than gRPC: Node's own client answers within milliseconds,
// while loading a gRPC client costs a quarter of a second on the way to every command.

/** The id of the cluster that answers at this address; undefined when none does. */
export async function readClusterId(apiAddress: string): Promise<string | undefined> {
  const answer = await call<{ clusterId?: string }>(apiAddress, 'GET', '/api/v1/cluster-info');
  return answer?.clusterId || undefined;
}

/** The state of the namespace `default`; undefined while the server does not answer yet. */
export async function readNamespace(apiAddress: string): Promise<NamespaceState | undefined> {
  const answer = await call<NamespaceAnswer>(apiAddress, 'GET', '/api/v1/namespaces/default');
  if (!answer?.config) return undefined;
  const { workflowExecutionRetentionTtl = '', customSearchAttributeAliases = {} } = answer.config;
  return { searchAttributes: Object.values(customSearchAttributeAliases), retention: workflowExecutionRetentionTtl };
}

/** Has the namespace `default` keep closed runs for so long. @throws Error when the server refuses. */
export async function setRetention(apiAddress: string, retention: string): Promise<void> {
  const body = { config: { workflowExecutionRetentionTtl: retention } };
  const answer = await call<NamespaceAnswer>(apiAddress, 'POST', '/api/v1/namespaces/default/update', body);
  const found = answer?.config?.workflowExecutionRetentionTtl;
  if (found !== retention) throw new Error(`The server keeps closed runs for ${found ?? 'an unknown time'}, not for ${retention}`);
}

/** The JSON answer; undefined when nobody answers, or not with success: that is what a starting server does. */
function call<Answer>(apiAddress: string, method: 'GET' | 'POST', path: string, body?: object): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const [host, port] = apiAddress.split(':');
    const outgoing = request(
      // No agent: a kept-alive socket would outlive the question.
      { host, port, path, method, agent: false, timeout: ANSWER_WITHIN_MS, headers: body && { 'content-type': 'application/json' } },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', () => resolve(undefined));
        incoming.on('end', () => resolve(incoming.statusCode === 200 ? parseAnswer<Answer>(Buffer.concat(chunks)) : undefined));
      },
    );
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('error', () => resolve(undefined));
    outgoing.on('close', () => resolve(undefined));
    outgoing.end(body && JSON.stringify(body));
  });
}

function parseAnswer<Answer>(bytes: Buffer): Answer | undefined {
  try {
    return parseJson(bytes.toString()) as Answer;
  } catch (error) {
    // Whoever listens there speaks HTTP, but is no Temporal server.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
