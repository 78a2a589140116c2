/**
 * A line of markdown without its code spans, found as CommonMark finds them: a run of backticks opens one that the next
 * run of the same length closes; a run that nothing closes is text.
 */
export function withoutSpans(line: string): string {
  let text = '';
  let rest = line;
  for (;;) {
    const opening = /`+/.exec(rest);
    if (opening === null) return text + rest;
    const [fence] = opening;
    const after = rest.slice(opening.index + fence.length);
    const closing = [...after.matchAll(/`+/g)].find(([run]) => run.length === fence.length);
    text += rest.slice(0, opening.index) + (closing === undefined ? fence : '');
    rest = closing === undefined ? after : after.slice(closing.index + fence.length);
  }
}
