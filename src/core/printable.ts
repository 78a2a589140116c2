/**
 * What a terminal, a log viewer or a person's eye could take for something else than text: control characters with
 * escape sequences, line and paragraph separators, overrides and isolates of the writing direction, all that shows
 * nothing (joiners, variation selectors, tags, fillers), and halves of surrogate pairs. Emoji that are joined of several
 * lose their look; two names that look alike and are not one do more harm.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Text fit for one line of a terminal, a log or a page: what is more than a visible character is escaped as JSON escapes
 * it, the rest is kept. So a line of JSON stays equal JSON, and what was escaped already stays as it is.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** JSON knows short forms for some, and leaves those above U+007E as they are. */
function escaped(character: string): string {
  const short = JSON.stringify(character).slice(1, -1);
  if (short !== character) return short;
  return Array.from({ length: character.length }, (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`).join('');
}
