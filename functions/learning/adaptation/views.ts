/**
 * Examples and target inputs as the embeddings that a head reads: that of the shared backbone, and beside it that of a fine-tuned tail where the version
 * carries one. Each is aligned by itself; the head's weights say how much each counts.
 */
import type { Head, HeadComponent } from '../../../shared/head.ts';
import { backgroundCenter, transformFeature } from '../features.ts';
import type { Embeddings } from '../score-head.ts';
import type { SolveInput } from '../solve-head.ts';
import { sharesOf, type Shares } from '../tuned-shares.ts';
import { meanOf, type Rows } from './align.ts';

export type View = {
  readonly embedding: HeadComponent['embedding'];
  /** Its part of the head, and of each label; 0 where only `nearest` reads it. */
  readonly weight: number;
  readonly shares: Shares;
  /** Of the background. */
  readonly center: Float32Array;
  /** Which examples have this embedding, and their labels; `labelOf`: the first of each, which is the only one unless an input has several. */
  readonly rows: readonly number[];
  readonly labelsOf: readonly (readonly number[])[];
  readonly labelOf: readonly number[];
  /** Features less the background's centre, and their means. */
  readonly source: Rows;
  readonly target: Rows;
  readonly middle: Float64Array;
  readonly offset: Float64Array;
};

/** The base view first, always; the tuned one beside it when the head has a tuned component. */
export function viewsOf(input: SolveInput, plain: Head, target: readonly Embeddings[]): [View, ...View[]] {
  const tuned = plain.components.some((c) => c.embedding === 'tuned');
  const share = tuned ? input.tunedMix : 0;
  const shares = sharesOf(input);
  const base = viewOf('base', 1 - share, shares.base, input, target);
  return tuned ? [base, viewOf('tuned', share, shares.tuned, input, target)] : [base];
}

/** @throws RangeError when a row is missing, not finite or of the wrong length */
function viewOf(embedding: View['embedding'], weight: number, shares: Shares, input: SolveInput, target: readonly Embeddings[]): View {
  const background = input.background[embedding];
  const center = backgroundCenter(background, input.transform, input.dimension);
  const rows = [...input.examples.keys()].filter((i) => input.examples[i]![embedding] !== null);
  const features = (all: readonly Embeddings[]): Rows => {
    const raw = all.map((row, i) => {
      const one = row[embedding];
      if (!one) throw new RangeError(`target input ${i} has no ${embedding} embedding`);
      return one;
    });
    return featuresOf(raw, input, center);
  };
  const [source, of] = [features(rows.map((i) => input.examples[i]!)), features(target)];
  const labelsOf = rows.map((i) => input.examples[i]!.labelsOf);
  const labelOf = labelsOf.map((own) => own[0]!);
  return { embedding, weight, shares, center, rows, labelsOf, labelOf, source, target: of, middle: meanOf(source), offset: meanOf(of) };
}

/** φ(x) − centre of each row. */
function featuresOf(raw: readonly Float32Array[], { transform, dimension: d }: SolveInput, center: Float32Array): Rows {
  const x = new Float64Array(raw.length * d);
  for (const [i, row] of raw.entries()) transformFeature(row, transform, center, x, i * d);
  return { x, n: raw.length, d };
}

/** A centre moved so that a target input is read as the source input that it is taken for: by the difference of the means under that transform. */
export function movedCenter(
  { center, transform }: Pick<HeadComponent, 'center' | 'transform'>,
  input: SolveInput,
  target: readonly Embeddings[],
): Float32Array {
  const mean = (rows: readonly { readonly base: Float32Array }[]): Float32Array =>
    backgroundCenter(
      rows.map((row) => row.base),
      transform,
      center.length,
    );
  const [from, to] = [mean(input.examples), mean(target)];
  return center.map((v, j) => v + to[j]! - from[j]!);
}
