/** What every export writes of a head: its components folded into as few linear maps as give the same scores, and what it needs as input. */
import type { FeatureTransform, Head, HeadComponent, KernelPower, Standardisation, Support } from './head.ts';

/** A feature of one embedding: transformed, L2-normalised, minus its centre. */
export type Feature = {
  readonly embedding: 'base' | 'tuned';
  readonly transform: FeatureTransform;
  readonly dimension: number;
  readonly center: Float32Array;
};
/** raw scores += weight · feature + bias. `weight` row-major [labels × dimension]. */
export type LinearPart = { readonly feature: Feature; readonly weight: Float32Array; readonly bias: Float32Array };
/** raw scores += weight · ((1 + cosines to the support rows) / 2)^power + bias. `weight` row-major [labels × support rows]. */
export type KernelPart = { readonly power: KernelPower; readonly weight: Float32Array; readonly bias: Float32Array };
export type HeadParts = {
  /** The sum of these and `kernel` is the raw score before the temperature. */
  readonly linear: readonly LinearPart[];
  readonly kernel: readonly KernelPart[];
  /** null when the head has no rows to be near to. */
  readonly support: Support | null;
  /** What happens to the base embedding before its features. */
  readonly standardisation: Standardisation | null;
  /** logits = scale · raw; softmax of them (single_label) or their sigmoid (multi_label) are the probabilities. */
  readonly scale: number;
};

/** Whether two features are the same function of the same embedding. */
export function sameFeature(a: Feature, b: Feature): boolean {
  return (
    a.embedding === b.embedding &&
    a.transform === b.transform &&
    a.dimension === b.dimension &&
    (a.center === b.center || a.center.every((value, i) => value === b.center[i]))
  );
}

/**
 * Folds components of one feature: Σ mix·(W·f + b) = (Σ mix·W)·f + Σ mix·b, summed in double precision and rounded once.
 * @throws RangeError when the head has no component, or embeddings of two lengths under one name
 */
export function headParts(head: Head): HeadParts {
  const mixed = head.components.filter((c) => c.mix !== 0);
  // A head whose components all weigh nothing scores 0 everywhere; one of them still says how long the embedding is.
  const used = mixed.length > 0 ? mixed : head.components.slice(0, 1);
  if (used.length === 0) throw new RangeError('the head has no component');
  const groups: HeadComponent[][] = [];
  for (const component of used.filter((c) => !c.kernel)) {
    const same = groups.find(([first]) => first && sameFeature(first, component));
    if (same) same.push(component);
    else groups.push([component]);
  }
  const linear = groups.map(fold);
  const kernel = used.flatMap((c) =>
    c.kernel ? [{ power: c.kernel.power, weight: c.weight.map((v) => c.mix * v), bias: c.bias.map((v) => c.mix * v) }] : [],
  );
  const support = head.support && head.support.labelOf.length > 0 ? head.support : null;
  for (const c of used)
    if (c.kernel && c.dimension !== support?.dimension) throw new RangeError('the head has a kernel and no support rows of its embedding');
  const features: Feature[] = [...linear.map((part) => part.feature), ...(support ? [support] : [])];
  for (const f of features)
    if (features.some((other) => other.embedding === f.embedding && other.dimension !== f.dimension))
      throw new RangeError(`the head reads ${f.embedding} embeddings of two lengths`);
  // One label against the rest is decided at score 0 with targets ±1, hence the 2 (see score-head.ts).
  return { linear, kernel, support, standardisation: head.standardisation, scale: (head.task === 'multi_label' ? 2 : 1) / head.temperature };
}

function fold(components: readonly HeadComponent[]): LinearPart {
  const [first] = components as [HeadComponent, ...HeadComponent[]];
  const weight = new Float64Array(first.weight.length);
  const bias = new Float64Array(first.bias.length);
  for (const c of components) {
    for (let i = 0; i < weight.length; i++) weight[i]! += c.mix * c.weight[i]!;
    for (let i = 0; i < bias.length; i++) bias[i]! += c.mix * c.bias[i]!;
  }
  const { embedding, transform, dimension, center } = first;
  return { feature: { embedding, transform, dimension, center }, weight: Float32Array.from(weight), bias: Float32Array.from(bias) };
}

/** F as [side × rows], with zeros for the rows that it does not read (head.ts). */
export function factorOverAll({ factor, labelOf }: Support): { readonly factor: Float32Array; readonly side: number } {
  const side = Math.sqrt(factor.length);
  if (side === labelOf.length) return { factor, side };
  const wide = new Float32Array(side * labelOf.length);
  for (let r = 0; r < side; r++) wide.set(factor.subarray(r * side, (r + 1) * side), r * labelOf.length);
  return { factor: wide, side };
}

/** The embeddings that a head's scores, nearest rows and open-set rule are made from, as they are sent: base first. */
export function embeddingsOf(parts: HeadParts): { readonly name: 'base' | 'tuned'; readonly dimension: number }[] {
  const features: Feature[] = [...parts.linear.map((part) => part.feature), ...(parts.support ? [parts.support] : [])];
  return (['base', 'tuned'] as const).flatMap((name) => {
    const found = features.find((f) => f.embedding === name);
    const sent = name === 'base' ? parts.standardisation?.mean.length : undefined;
    return found ? [{ name, dimension: sent ?? found.dimension }] : [];
  });
}
