/** Figures of a few episodes with the intervals that a few episodes allow. */
import { halfInterval, mean } from '../accuracy/measures.ts';
import { wilsonInterval, Z_TWO_SIDED_95 } from '../../../shared/statistics.ts';

/** Two-sided 95 % points of Student's t for 1 to 10 degrees of freedom. */
const STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/** From 11 degrees on two terms of its expansion at the normal's point (Fisher & Cornish 1960), within .004. */
export function studentPoint(degrees: number): number {
  const z = Z_TWO_SIDED_95;
  const first = (z ** 3 + z) / (4 * degrees);
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2);
  return STUDENT[degrees - 1] ?? z + first + second;
}

/** Half of the 95 % interval of a mean over episodes (Student 1908); with ten draws the normal's is a seventh too narrow, with two by six times. */
export const studentHalf = (values: readonly number[]): number => (halfInterval(values) / 1.96) * studentPoint(values.length - 1);

export const figure = (values: readonly number[]): string =>
  values.length === 0
    ? '–'
    : values.length === 1
      ? `${values[0]!.toFixed(1)} (one)`
      : `${mean(values).toFixed(1)} ± ${studentHalf(values).toFixed(1)}`;
export const signed = (values: readonly number[]): string => (values.length > 0 && mean(values) > 0 ? `+${figure(values)}` : figure(values));

/** `3 of 40 (3–20 %)`: how often, with Wilson's interval. */
export function often(k: number, n: number): string {
  if (n === 0) return '–';
  const { low, high } = wilsonInterval(k, n);
  return `${k} of ${n} (${Math.round(100 * low)}–${Math.round(100 * high)} %)`;
}

export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => (row[c] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
