/** Works tasks off, so many at a time and each when its turn comes. The first one that fails ends it. */
export async function inLanes<Task>(lanes: number, tasks: Iterable<Task>, work: (task: Task) => Promise<void>): Promise<void> {
  const queue = tasks[Symbol.iterator]();
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true && !hasFailed; next = queue.next()) await work(next.value);
  };
  const all = Array.from({ length: lanes }, lane);
  try {
    await Promise.all(all);
  } catch (error) {
    hasFailed = true;
    await Promise.allSettled(all);
    throw error;
  }
}
