/** The rows that an adapted head compares with: the enrolled examples as the target would have shown them. */
import type { Head } from '../../../shared/head.ts';
import { fitNovelty, leftOutVariances, variance } from '../novelty.ts';
import type { SolveInput } from '../solve-head.ts';
import { NO_LABEL } from '../support.ts';
import type { Rows } from './align.ts';
import type { SolvedHead } from './solve-adapted.ts';
import type { Space } from './spaces.ts';
import type { View } from './views.ts';

/** A view's examples as the target would have shown them, and what its heads are linear in. */
export type Mapped = { readonly mapped: Rows; readonly space: Space };
/** `novelty`: of each judged example among the others; `weight`: how much that counts (novelty.ts). */
export type MovedSupport = { readonly support: Head['support']; readonly novelty: Float64Array; readonly weight: number };

export const targetCenter = ({ center, offset }: View): Float32Array => center.map((v, j) => v + offset[j]!);

export function movedSupport(input: SolveInput, plain: SolvedHead, base: View, first: Mapped): MovedSupport {
  const before = plain.head.support;
  const { moved } = first.space;
  if (!before || !moved) return { support: null, novelty: plain.leftOut.novelty, weight: 0 };
  const found = fitNovelty(moved.landmarks);
  const labelOf = new Map(input.examples.map((e) => [e.id, e.labelsOf[0] ?? NO_LABEL]));
  const support = {
    ...before,
    center: targetCenter(base),
    basis: null,
    rows: moved.landmarks.rows,
    labelOf: Int32Array.from(moved.ids, (id) => labelOf.get(id)!),
    factor: found.factor,
  };
  const own = leftOutVariances(found);
  const kept = new Map(moved.ids.map((id, r) => [id, r]));
  const place = new Map(base.rows.map((i, row) => [input.examples[i]!.id, row]));
  const { x, width } = first.space.seen(first.mapped);
  const novelty = Float64Array.from(plain.leftOut.ids, (id) => {
    const at = kept.get(id);
    return at === undefined ? variance(found.factor, x.slice(place.get(id)! * width, (place.get(id)! + 1) * width)) : own[at]!;
  });
  return { support, novelty, weight: found.weight };
}
