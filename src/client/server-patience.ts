import { setTimeout as delay } from 'node:timers/promises';

/** How long a server that has gone is waited for, and what is said meanwhile. */
export interface PatienceOptions {
  readonly limitMs: number;
  /** False when it is known that the server does not come back. */
  readonly mayComeBack: () => boolean;
  /** Called once for each time that it goes. */
  readonly onAway: (untilMs: number) => void;
  readonly onBack: () => void;
  /** Ends waiting. */
  readonly signal: AbortSignal;
  /** How the time until the next look passes; for tests. */
  readonly waitMs?: (durationMs: number, signal: AbortSignal) => Promise<void>;
}

const ASK_AGAIN_MS = 1000;

/** Follows a server through restarts: several calls share one patience. */
export class ServerPatience {
  private awaySinceMs: number | undefined;

  constructor(private readonly options: PatienceOptions) {}

  /** Repeats a call while the server is away. @throws what it throws otherwise, and at the end of the patience */
  async during<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      try {
        const answer = await call();
        if (this.awaySinceMs !== undefined) this.options.onBack();
        this.awaySinceMs = undefined;
        return answer;
      } catch (error) {
        if (!isServerAway(error)) throw error;
        await this.wait(error);
      }
    }
  }

  private async wait(error: unknown): Promise<void> {
    const { limitMs, mayComeBack, onAway, signal, waitMs = passTime } = this.options;
    const isNews = this.awaySinceMs === undefined;
    this.awaySinceMs ??= Date.now();
    const untilMs = this.awaySinceMs + limitMs;
    if (signal.aborted || !mayComeBack() || Date.now() >= untilMs) throw error;
    if (isNews) onAway(untilMs);
    await waitMs(ASK_AGAIN_MS, signal);
  }
}

function passTime(durationMs: number, signal: AbortSignal): Promise<void> {
  return delay(durationMs, undefined, { signal });
}

/** gRPC: cancelled, unknown, deadline exceeded, resource exhausted, aborted, unavailable: what Temporal's own clients try again, for less long, and what a connection ends with that is cut. */
const passingCodes: readonly unknown[] = [1, 2, 4, 8, 10, 14];

/** `INTERNAL` may be anything, but for connections that were cut amid an answer. */
const INTERNAL = 13;
const CUT = /h2|RST_STREAM|transport|connection|broken pipe|without gRPC status/i;

/** Whether an error of either of Temporal's clients says that no server answers. */
export function isServerAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (error.name === 'TransportError' || passingCodes.includes(code) || (code === INTERNAL && CUT.test(error.message))) return true;
  return isServerAway(error.cause);
}
