/** Which feature of the base embedding the drift monitor follows: isolates sum it up over predictions, the object over what was enrolled. */
import type { FeatureTransform, Head } from '../../shared/head.ts';

export type DriftFeature = { readonly transform: FeatureTransform; readonly center: Float32Array };

/**
 * That of the support. Of embeddings that the examples standardise it is the bare one: every version has other scales, and means over several versions
 * would not add up. Null without an example, for then there is nothing to drift from.
 */
export function driftFeature({ support, standardisation: by }: Pick<Head, 'support' | 'standardisation'>): DriftFeature | null {
  if (!support) return null;
  return by ? { transform: support.transform, center: new Float32Array(by.mean.length) } : support;
}
