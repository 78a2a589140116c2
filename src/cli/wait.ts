/** True as soon as something has ended well, false when it has not within so long. @throws what it was rejected with */
export async function isOver(result: Promise<unknown>, waitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), waitMs)));
  try {
    return await Promise.race([result.then(() => true), waited]);
  } finally {
    clearTimeout(timer);
  }
}
