const two = (value: number): string => String(value).padStart(2, '0');

/** Day of the clock on the wall, where the program runs: `2026-11-23`. */
export function localDay(date: Date): string {
  return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The clock on the wall, where the program runs: `2026-11-23 17:30:00`; a question mark for no time at all. */
export function localTime(date: Date): string {
  if (Number.isNaN(date.getTime())) return '?';
  return `${localDay(date)} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
