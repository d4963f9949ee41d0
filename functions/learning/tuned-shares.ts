/**
 * How much of each label the base embedding says beside the tuned one. A label of which no example has a tuned embedding (enrolled while a job trained, or
 * with nothing but its name) is an unbroken −1 to what is learnt from tuned embeddings, and one that all examples with a tuned embedding have an unbroken +1:
 * the larger their part, the less the one was ever answered, and the more the other, whatever was shown. Of such labels the tuned part says nothing, and the
 * base part all.
 */
import type { SolveInput } from './solve-head.ts';

/** Of each label, [labels]; `mix` is the largest, which is the component's, and the others are made of its rows. */
export type Shares = { readonly of: Float64Array; readonly mix: number };

export function sharesOf({ examples, labels, tunedMix }: Pick<SolveInput, 'examples' | 'labels' | 'tunedMix'>): { base: Shares; tuned: Shares } {
  const rows = examples.filter((e) => e.tuned !== null);
  const counts = new Float64Array(labels.length);
  for (const { labelsOf } of rows) for (const c of new Set(labelsOf)) counts[c]! += 1;
  const tuned = counts.map((n) => (n > 0 && n < rows.length ? tunedMix : 0));
  const shares = (of: Float64Array): Shares => ({ of, mix: of.reduce((most, share) => Math.max(most, share), 0) });
  return { base: shares(tuned.map((share) => 1 - share)), tuned: shares(tuned) };
}

/** Rows of a component whose mix is the largest of the shares, [labels × …]. */
export function shared(rows: Float64Array, { of, mix }: Shares): Float64Array {
  const columns = rows.length / of.length;
  return of.every((share) => share === mix) ? rows : rows.map((v, at) => v * (of[Math.floor(at / columns)]! / mix));
}
