/** Timing: wall-clock milliseconds, repeated, with the arms of a comparison in turn so that a slow moment of the machine hits all of them. */

/** Milliseconds; quantiles by nearest rank. */
export type Spread = { readonly n: number; readonly p50: number; readonly p95: number; readonly min: number };
/** Work to be timed, told which repeat it is. */
export type Arm = (repeat: number) => Promise<unknown>;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function spread(milliseconds: readonly number[]): Spread {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const rank = (q: number): number => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
  return { n: sorted.length, p50: rank(0.5), p95: rank(0.95), min: rank(0) };
}

/** Every arm `repeats` times, after `warmups` that do not count; who goes first changes each time. */
export async function inTurn<Name extends string>(
  arms: Readonly<Record<Name, Arm>>,
  { repeats, warmups }: { readonly repeats: number; readonly warmups: number },
): Promise<Record<Name, Spread>> {
  const names = Object.keys(arms) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let i = -warmups; i < repeats; i++) {
    const first = (i + warmups) % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const took = await timed(() => arms[name](i + warmups));
      if (i >= 0) times[name].push(took);
    }
  }
  return Object.fromEntries(names.map((name) => [name, spread(times[name])])) as Record<Name, Spread>;
}
