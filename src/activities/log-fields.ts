import type { Request, ActivityName } from './requests';

/** Of many sources, as many are named. */
const MOST_SOURCES = 10;

/** Texts among what a step answers that are a name, a word or a digest. */
const WORDS: readonly string[] = ['snapshot', 'status', 'parent', 'verifiedFrom', 'from', 'publishedBy', 'sha256'];

/** Inputs of all workflows, as far as logs name their fields. */
interface Input {
  readonly operationId?: string;
  readonly sourcePath?: string;
  readonly backupPath?: string;
  readonly backupDir?: string;
  readonly repository?: string;
  readonly snapshot?: string;
  readonly target?: string;
  readonly sources?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What is the same in the requests of all steps. */
interface Subject extends Input {
  readonly input?: unknown;
  readonly operation?: { readonly input: Input; readonly source: { readonly sizeBytes: number } };
  readonly batch?: Plan;
  /** A plan; of steps on repositories the name of a snapshot. */
  readonly restore?: Plan;
  readonly chunk?: number;
  readonly pass?: number;
}

interface Plan {
  readonly input: Input;
  readonly files: number;
  readonly sizeBytes: number;
  readonly chunks: number;
  readonly snapshot?: string;
}

/** What a step is about: ids, paths and sizes of its request, for each of its log lines. */
export function requestFields(request: Request<ActivityName>): Record<string, unknown> {
  const subject = request as Omit<Subject, 'snapshot'> & { readonly snapshot?: unknown };
  const { operation, chunk, pass } = subject;
  if (operation !== undefined) return { ...inputFields(operation.input), sizeBytes: operation.source.sizeBytes };
  const plan = planOf(subject);
  if (plan !== undefined) {
    const { files, sizeBytes, chunks, snapshot } = plan;
    return defined({ ...inputFields(plan.input), snapshot, totalFiles: files, totalBytes: sizeBytes, chunks, chunk, pass });
  }
  const input = typeof subject.input === 'object' && subject.input !== null ? (subject.input as Input) : (request as Input);
  return inputFields(input);
}

function planOf({ batch, restore, snapshot }: { readonly batch?: Plan; readonly restore?: Plan; readonly snapshot?: unknown }): Plan | undefined {
  return batch ?? restore ?? (typeof snapshot === 'object' ? (snapshot as Plan) : undefined);
}

function inputFields({ operationId, sourcePath, backupPath, backupDir, repository, snapshot, target, sources, metadata }: Input): Record<string, unknown> {
  return defined({ operationId, sourcePath, backupPath, backupDir, repository, snapshot, target, sources: sources?.slice(0, MOST_SOURCES), sourceCount: sources?.length, metadata });
}

/** What a step came to: the numbers that it answers, by themselves and in tables, and a few words. Never a list. */
export function resultFields(result: unknown): Record<string, unknown> {
  if (typeof result !== 'object' || result === null) return {};
  return Object.fromEntries(Object.entries(result).filter(([name, value]) => name !== 'attempt' && (typeof value === 'number' || isNumbers(value) || (typeof value === 'string' && WORDS.includes(name)))));
}

function isNumbers(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((each) => typeof each === 'number');
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
