import { MultiBar, type SingleBar } from 'cli-progress';
import { beginDrawing, eraseDrawing } from '../terminal';
import { lineFormat } from './line-format';

/** Steps of a bar. */
const TOTAL = 1000;

/** A progress bar on a terminal, with lines below it. What is printed takes it off, and the next update draws it again. */
export class Bars {
  private drawn: { readonly bars: MultiBar; readonly total: SingleBar; lines: SingleBar[] } | undefined;
  private isOver = false;

  /** @param format with `{bar}`, `{percentage}` and names of texts */
  constructor(private readonly format: string) {}

  /** @param fraction 0 to 1 */
  update(fraction: number, texts: Readonly<Record<string, string>>, lines: readonly string[] = []): void {
    if (this.isOver) return;
    const drawn = (this.drawn ??= this.begin(texts));
    drawn.total.update(Math.floor(Math.min(1, fraction) * TOTAL), texts);
    while (drawn.lines.length > lines.length) drawn.bars.remove(drawn.lines.pop() as SingleBar);
    drawn.lines = lines.map((text, index) => {
      const line = drawn.lines[index] ?? drawn.bars.create(1, 0, { text }, { format: lineFormat('{text}') });
      line.update(0, { text });
      return line;
    });
  }

  /** For good. */
  stop(): void {
    this.isOver = true;
    if (this.drawn !== undefined) eraseDrawing();
  }

  private begin(texts: Readonly<Record<string, string>>) {
    // Signals are for whoever draws to handle: the bar's own handler would be undone by the next update.
    const bars = new MultiBar({ stream: process.stderr, clearOnComplete: true, hideCursor: true, linewrap: false, forceRedraw: true, gracefulExit: false });
    beginDrawing(() => {
      this.drawn = undefined;
      bars.stop();
    });
    return { bars, total: bars.create(TOTAL, 0, texts, { format: lineFormat(this.format), barsize: 24 }), lines: [] };
  }
}
