/** Middle value; of an even number the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median of what is computed from two series round by round: what a noisy machine does to both cancels out. */
export function pairedMedian(first, second, of) {
  return median(first.flatMap((value, round) => (value === undefined || second[round] === undefined ? [] : [of(value, second[round])])));
}
