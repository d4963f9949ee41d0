/**
 * How many examples an instant solve may read. Its cost in multiply–adds, for n examples of d values, k labels, m ≤ 512 landmarks, J judged rows and
 * b background rows (see support.ts, candidates.ts, ridge.ts, novelty.ts):
 *   landmarks        m²d + m³
 *   background       b·m·(d + m)
 *   novelty          max(J − m, 0)·m·(d + m)
 *   kernel ridge     n·m·(d + m) + J·m²/2                                    while n ≤ KERNEL_ROWS_MAX
 *   ridge            n·d²/2 + d³/6 + J·d²/2 + (J + d)·d·k    for n > d;    n²d/2 + n³/3 + n·d·k below        while n > m
 * where kept rows are written in few directions (basis.ts) these cost m²d/2 + m·d·r more and every d + m above is a fourth or third; it is counted as if not.
 * One JavaScript core does about 10⁹ of them a second. Beyond the budget the head is solved from some of the examples; the background refinement reads all.
 */
import { KERNEL_ROWS_MAX } from './candidates.ts';
import { judgedLimit } from './judged-rows.ts';
import { NO_LABEL, SUPPORT_ROWS_MAX, takeTurns } from './support.ts';

/** About five seconds of CPU: a Durable Object has 30, and enrolling should not take them all. */
export const SOLVE_BUDGET = 5e9;
/** Each step down from all examples. */
const STEP = 0.95;

export type SolveSize = { readonly examples: number; readonly dimension: number; readonly labels: number; readonly background: number };

/** Multiply–adds of an instant solve. */
export function solveCost({ examples: n, dimension: d, labels: k, background: b }: SolveSize): number {
  const m = Math.min(n, SUPPORT_ROWS_MAX);
  const judged = Math.min(n, judgedLimit(k));
  const landmarks = m * m * d + m ** 3 + (b + Math.max(judged - m, 0)) * m * (d + m);
  const kernel = n <= KERNEL_ROWS_MAX ? n * m * (d + m) + (judged * m * m) / 2 : 0;
  const primal = (n * d * d) / 2 + d ** 3 / 6 + (judged * d * d) / 2 + (judged + d) * d * k;
  const linear = n > d ? primal : (n * n * d) / 2 + n ** 3 / 3 + n * d * k;
  return landmarks + kernel + (n > m ? linear : 0);
}

/** The most examples that the budget pays for; never fewer than the landmarks, which every head has. */
export function rowsWithinBudget(size: SolveSize, budget = SOLVE_BUDGET): number {
  let n = size.examples;
  while (n > SUPPORT_ROWS_MAX && solveCost({ ...size, examples: n }) > budget) n = Math.max(SUPPORT_ROWS_MAX, Math.floor(n * STEP));
  return n;
}

type Row = { readonly sha256: string; readonly id: string; readonly labelsOf: readonly number[] };

/**
 * So many rows, classes in turn, as if drawn at random: by the digests of their contents, so that the same examples give the same head, however they were
 * enrolled and whatever was forgotten in between. In the order given.
 */
export function drawRows<R extends Row>(rows: readonly R[], limit: number): readonly R[] {
  if (rows.length <= limit) return rows;
  const sorted = rows.toSorted((a, b) => (a.sha256 === b.sha256 ? (a.id < b.id ? -1 : 1) : a.sha256 < b.sha256 ? -1 : 1));
  const classOf = sorted.map((r) => r.labelsOf[0] ?? NO_LABEL);
  const drawn = new Set(takeTurns(classOf, limit).map((i) => sorted[i]!));
  return rows.filter((r) => drawn.has(r));
}
