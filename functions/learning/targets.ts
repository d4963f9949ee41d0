/** What one-against-rest regression is fitted to: ±1 targets, the weight of each row, and which rows are left out together. */

export type Labelled = {
  /** labelsOf[i]: indices of the labels of row i. */
  readonly labelsOf: readonly (readonly number[])[];
  readonly labels: number;
  /** Rows of one fold are left out together (folds.ts); each alone when absent. */
  readonly foldOf?: Int32Array;
};

/** sᵢ = n / (K · count of the row's class), so that every class weighs the same; several labels: the mean of theirs. */
export function balancedWeights(labelsOf: readonly (readonly number[])[], labels: number): Float64Array {
  const counts = new Float64Array(labels);
  for (const row of labelsOf) for (const c of row) counts[c]! += 1;
  let present = 0;
  for (const c of counts) if (c > 0) present += 1;
  return Float64Array.from(labelsOf, (row) => {
    let weight = 0;
    for (const c of row) weight += labelsOf.length / (present * counts[c]!);
    return row.length > 0 ? weight / row.length : 1;
  });
}

/** ±1 targets [n × k] with rows scaled by √sᵢ, and the √sᵢ. */
export type Targets = {
  readonly ys: Float64Array;
  readonly root: Float64Array;
  readonly n: number;
  readonly k: number;
  readonly folds: readonly (readonly number[])[];
};
export function targetsOf({ labelsOf, labels, foldOf }: Labelled): Targets {
  const n = labelsOf.length;
  const root = balancedWeights(labelsOf, labels).map(Math.sqrt);
  const ys = new Float64Array(n * labels);
  for (let i = 0; i < n; i++) {
    ys.fill(-root[i]!, i * labels, (i + 1) * labels);
    for (const c of labelsOf[i]!) ys[i * labels + c] = root[i]!;
  }
  const folds = foldOf ? [...Map.groupBy(labelsOf.keys(), (i) => foldOf[i]!).values()] : Array.from({ length: n }, (_, i) => [i]);
  return { ys, root, n, k: labels, folds };
}
