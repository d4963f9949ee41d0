/** Workers allow six connections that wait for an answer; what is one too many waits itself, while its time-out runs. One is left for others. */
const AT_ONCE = 5;

/** Runs `work` on all, a few at a time; results in order. The first failure ends it. */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (let i = 0; i < items.length; i += AT_ONCE) out.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map(work))));
  return out;
}
