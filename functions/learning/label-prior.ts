/** What the labels' words say by themselves, as a component of a head and about the examples. */
import type { FeatureTransform, HeadComponent } from '../../shared/head.ts';
import { dotRows } from './dot-rows.ts';
import { transformFeature } from './features.ts';
import { levelsOfNames, nameComponent } from './label-names.ts';
import { takeRows } from './ridge-fit.ts';
import { zeroShotComponent } from './zero-shot.ts';

type Given = {
  readonly names: readonly (Float32Array | null)[];
  readonly zeroShot?: boolean;
  readonly background: { readonly base: readonly Float32Array[] };
  readonly transform: FeatureTransform;
  readonly dimension: number;
};
type Example = { readonly labelsOf: readonly number[]; readonly base: Float32Array };

/** What a linear component over the base embedding says at weight 1, row-major [examples × labels]. */
export function linearScores({ weight, bias, transform, center }: HeadComponent, examples: readonly Pick<Example, 'base'>[]): Float64Array {
  const k = bias.length;
  const out = new Float64Array(examples.length * k);
  for (const [i, e] of examples.entries()) {
    const own = out.subarray(i * k, (i + 1) * k);
    dotRows(weight, transformFeature(e.base, transform, center), k, own);
    for (let c = 0; c < k; c++) own[c]! += bias[c]!;
  }
  return out;
}

/**
 * The names as a component at weight 1, and what they say of two lists of examples, row-major [examples × labels]: `single`, of one label each, and
 * `judged`. With `centred`, around what they say of the former on the whole: with level_c the score of name c on the mean example of all labels,
 *   score_c(x) − level_c
 * One name is nearer than another to everything that such a classifier is asked (two subjects of mail against a background of other sentences), and that
 * is no evidence for its label. As contextual calibration (Zhao et al. 2021) does for prompts, but by the examples; one of each label will do.
 */
export function hearNames<E extends Example>(
  given: Given,
  center: Float32Array,
  examples: { readonly single: readonly E[]; readonly judged: readonly E[]; readonly centred: boolean },
): { component: HeadComponent; single: Float64Array; judged: Float64Array } {
  const { names, transform, dimension } = given;
  const bare = given.zeroShot
    ? zeroShotComponent(names, given.background.base, center, transform, 1)
    : nameComponent(names, center, transform, dimension, 1);
  const k = names.length;
  const heard = [...new Set([...examples.single, ...examples.judged])];
  const place = new Map(heard.map((e, i) => [e, i]));
  const scores = linearScores(bare, heard);
  const of = (some: readonly E[]): Float64Array =>
    takeRows(
      scores,
      some.map((e) => place.get(e)!),
      k,
    );
  const spoken = examples.single.map((e) => e.labelsOf[0]!);
  const levels = examples.centred ? levelsOfNames(of(examples.single), spoken, k) : new Float64Array(k);
  for (let at = 0; at < scores.length; at++) scores[at]! -= levels[at % k]!;
  return {
    component: { ...bare, bias: Float32Array.from(levels, (v) => -v) },
    single: of(examples.single),
    judged: of(examples.judged),
  };
}
