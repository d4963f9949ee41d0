/** Accuracy with its interval, AUROC and calibration error. */

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Half of the 95 % interval of a mean over episodes (normal approximation). */
export function halfInterval(values: readonly number[]): number {
  if (values.length < 2) return Number.NaN;
  const m = mean(values);
  return (1.96 * Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1))) / Math.sqrt(values.length);
}

/** P(known > unknown) + ½ P(equal), by ranks (Mann & Whitney 1947). */
export function auroc(known: readonly number[], unknown: readonly number[]): number {
  const all = [...known.map((v) => ({ v, known: true })), ...unknown.map((v) => ({ v, known: false }))].toSorted((a, b) => a.v - b.v);
  let sum = 0;
  for (let i = 0; i < all.length;) {
    let j = i;
    while (j < all.length && all[j]!.v === all[i]!.v) j++;
    const rank = (i + j + 1) / 2;
    for (let q = i; q < j; q++) if (all[q]!.known) sum += rank;
    i = j;
  }
  return (sum - (known.length * (known.length + 1)) / 2) / (known.length * unknown.length);
}

export type Said = { readonly confidence: number; readonly right: boolean };

/** Expected calibration error over ten bins (Naeini et al. 2015). */
export function calibrationError(said: readonly Said[]): number {
  const bins = Map.groupBy(said, (s) => Math.min(9, Math.floor(s.confidence * 10)));
  let error = 0;
  for (const bin of bins.values())
    error += (bin.length / said.length) * Math.abs(mean(bin.map((s) => s.confidence)) - mean(bin.map((s) => (s.right ? 1 : 0))));
  return error;
}
