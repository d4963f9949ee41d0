/** What the labels' words say by themselves, as a component of a head and about the examples. */
import type { FeatureTransform, HeadComponent } from '../../shared/head.ts';
import { levelsOfNames, nameComponent, nameScores } from './label-names.ts';
import { rawScores } from './score-head.ts';
import { zeroShotComponent } from './zero-shot.ts';

type Given = {
  readonly names: readonly (Float32Array | null)[];
  readonly zeroShot?: boolean;
  readonly examples: readonly { readonly base: Float32Array }[];
  readonly background: { readonly base: readonly Float32Array[] };
  readonly transform: FeatureTransform;
  readonly dimension: number;
};

/** The component at weight 1, and its scores of the examples, row-major [examples × labels]. */
export function labelPrior(given: Given, center: Float32Array): { component: HeadComponent; scores: Float64Array } {
  const { names, examples, transform, dimension } = given;
  if (!given.zeroShot)
    return { component: nameComponent(names, center, transform, dimension, 1), scores: nameScores(examples, names, center, transform) };
  const component = zeroShotComponent(names, given.background.base, transform, dimension, 1);
  const scores = new Float64Array(examples.length * names.length);
  for (const [i, e] of examples.entries())
    scores.set(rawScores({ components: [component], labels: names, support: null }, { base: e.base, tuned: null }), i * names.length);
  return { component, scores };
}

/**
 * What the names say, around what they say of these examples on the whole: with level_c the score of name c on the mean example of all labels,
 *   score_c(x) − level_c
 * One name is nearer than another to everything that such a classifier is asked (two subjects of mail against a background of other sentences), and that
 * is no evidence for its label. As contextual calibration (Zhao et al. 2021) does for prompts, but by the examples; one of each label will do.
 * @param rows examples of one label each, `truth` their labels
 */
export function centredPrior(
  given: Omit<Given, 'examples'>,
  rows: Given['examples'],
  truth: readonly number[],
  center: Float32Array,
): { component: HeadComponent; scores: Float64Array } {
  const k = given.names.length;
  const { component, scores } = labelPrior({ ...given, examples: rows }, center);
  const levels = levelsOfNames(scores, truth, k);
  return { component: { ...component, bias: Float32Array.from(levels, (v) => -v) }, scores: scores.map((s, at) => s - levels[at % k]!) };
}
