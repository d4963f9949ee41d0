/** Solving a version's head from what the object stores, and looking at examples for their owner (warnings, report). No I/O beyond the object's own tables. */
import type { Head, Standardisation } from '../../shared/head.ts';
import type { ClassifierConfig, ExampleWarning, NewExample } from '../domain/classifier-object.ts';
import { argmax, backgroundCenter, standardise, unitFeature } from '../learning/features.ts';
import { fitStandardisation, standardised, standardisedRows } from '../learning/own-scale.ts';
import { solveAdapted } from '../learning/adaptation/solve-adapted.ts';
import { NEAR_DUPLICATE } from '../learning/near-duplicates.ts';
import { solveHead, type Background, type Evidence, type LeftOut, type SolveInput } from '../learning/solve-head.ts';
import { drawRows, rowsWithinBudget } from '../learning/solve-budget.ts';
import { labelVectors, membersAt, membershipsAt, type Member, type Recipe, type Seen } from './records.ts';
import { readTarget } from './target-inputs.ts';

export type Solved = {
  readonly head: Head;
  /** `enrolled`: of how many examples the head was solved from some (see learning/solve-budget.ts). */
  readonly evidence: Evidence & { readonly enrolled?: number };
  readonly leftOut: LeftOut;
};

export type Placed = { readonly id: string; readonly sha256: string; readonly labelsOf: readonly number[] };

/** The examples that a version saw (null: as they are now) that have one of these labels, or were said to have none at all, without their embeddings. */
export function placedExamples(sql: SqlStorage, labels: readonly string[], seen: Seen | null): Placed[] {
  const place = new Map(labels.map((name, i) => [name, i]));
  return membershipsAt(sql, seen)
    .filter(({ labels: own }) => own.length === 0 || own.some((name) => place.has(name)))
    .map(({ id, sha256, labels: own }) => ({ id, sha256, labelsOf: own.flatMap((name) => place.get(name) ?? []) }));
}

/**
 * What the head of a version (null: of the examples as they are now) is solved from: all of the examples `from`, or as many of them as an instant
 * solve may cost.
 */
export function solveInput(
  sql: SqlStorage,
  config: ClassifierConfig,
  labels: readonly string[],
  recipe: Recipe,
  background: Background,
  seen: Seen | null,
  from: readonly Placed[] | null = null,
): SolveInput {
  const placed = from ?? placedExamples(sql, labels, seen);
  const vectors = labelVectors(sql);
  const size = { examples: placed.length, dimension: config.dimension, labels: labels.length, background: background.base.length };
  const limit = rowsWithinBudget(size);
  const drawn = new Map(drawRows(placed, limit).map((e) => [e.id, e.labelsOf]));
  const members = membersAt(sql, seen, recipe.model, from || limit < placed.length ? [...drawn.keys()] : null);
  return {
    labels,
    task: config.task,
    transform: config.transform,
    dimension: config.dimension,
    examples: members.flatMap((m) => (drawn.has(m.id) ? [{ ...m, labelsOf: drawn.get(m.id)! }] : [])),
    names: labels.map((name) => vectors.get(name) ?? null),
    zeroShot: config.modality === 'image',
    background,
    tunedMix: recipe.tunedMix,
    trainedTemperature: recipe.temperature,
    falseRejectRate: config.falseRejectRate,
  };
}

/** The head over those examples, as the recipe's target domain would show them when it has one; null when there is nothing to answer with. */
export function solveVersion(
  sql: SqlStorage,
  config: ClassifierConfig,
  labels: readonly string[],
  recipe: Recipe,
  background: Background,
  seen: Seen | null,
  from: readonly Placed[] | null = null,
): Solved | null {
  const placed = from ?? placedExamples(sql, labels, seen);
  const plain = solveInput(sql, config, labels, recipe, background, seen, from);
  const by = standardisationFor(config, () => plain);
  const input = standardised(plain, by);
  const { adaptation } = recipe;
  const solved = adaptation ? solveAdapted(input, standardisedRows(readTarget(sql, adaptation.target), by), adaptation.mix) : solveHead(input);
  if (!solved) return null;
  const head = { ...solved.head, standardisation: by };
  return { ...solved, head, evidence: input.examples.length < placed.length ? { ...solved.evidence, enrolled: placed.length } : solved.evidence };
}

/** Backbones have a background to be measured by; what callers bring is measured by itself. `input` is asked for only then: it reads embeddings. */
export const standardisationFor = ({ modality }: ClassifierConfig, input: () => SolveInput): Standardisation | null =>
  modality === 'vector' ? fitStandardisation(input()) : null;

/** Unit features of base embeddings, for similarities outside heads: about the background's centre, or as the examples standardise them. */
export function unitsFor(
  config: ClassifierConfig,
  { base }: Pick<Background, 'base'>,
  by: Standardisation | null,
): (raw: Float32Array) => Float64Array {
  const { transform } = config;
  const center = by ? null : backgroundCenter(base, transform, config.dimension);
  return (raw) => unitFeature(by ? standardise(by, raw) : raw, transform, center);
}

/** What the caller should look at: exact and near duplicates, and examples that the others contradict. `before` is read once, and nothing of it kept. */
export function warningsFor(
  added: readonly NewExample[],
  before: Iterable<Member>,
  config: ClassifierConfig,
  background: Background,
  solved: Solved | null,
): ExampleWarning[][] {
  const unitOf = unitsFor(config, background, solved?.head.standardisation ?? null);
  type Known = Pick<Member, 'id' | 'labels' | 'sha256'>;
  const seen = added.map((e) => ({
    e,
    unit: unitOf(e.base),
    same: null as Known | null,
    nearest: null as Known | null,
    best: NEAR_DUPLICATE[config.modality] as number,
  }));
  const compare = (to: (typeof seen)[number], m: Known, unit: Float64Array): void => {
    if (to.same) return;
    if (m.sha256 === to.e.sha256) {
      to.same = m;
      return;
    }
    let cosine = 0;
    for (let i = 0; i < unit.length; i++) cosine += unit[i]! * to.unit[i]!;
    if (cosine > to.best) [to.best, to.nearest] = [cosine, m];
  };
  for (const { id, labels, sha256, base } of before) {
    if (added.some((e) => e.id === id)) continue;
    const unit = unitOf(base);
    for (const one of seen) compare(one, { id, labels, sha256 }, unit);
  }
  return seen.map((one, i) => {
    for (const earlier of seen.slice(0, i)) compare(one, earlier.e, earlier.unit);
    const { e, same, nearest, best } = one;
    const warnings: ExampleWarning[] = [];
    if (same) warnings.push(duplicate(e, same, 'exactly the same bytes'));
    else if (nearest) warnings.push(duplicate(e, nearest, `nearly the same content (similarity ${best.toFixed(3)})`));
    const at = solved ? solved.leftOut.ids.indexOf(e.id) : -1;
    if (solved && at >= 0) {
      const k = solved.head.labels.length;
      const said = solved.head.labels[argmax(solved.leftOut.scores.subarray(at * k, (at + 1) * k))]!;
      // Among several labels the best one may still be a no.
      const sure = config.task === 'single_label' || solved.leftOut.scores[at * k + solved.head.labels.indexOf(said)]! > 0;
      if (sure && !e.labels.includes(said))
        warnings.push({ code: 'disagrees', detail: `The other examples say "${said}", not ${spoken(e.labels)}. Check the label.` });
    }
    return warnings;
  });
}

const spoken = (labels: readonly string[]): string => (labels.length > 0 ? `"${labels.join(', ')}"` : 'none of the labels');

function duplicate(e: NewExample, other: { id: string; labels: readonly string[] }, what: string): ExampleWarning {
  const agree = e.labels.length > 0 ? e.labels.every((l) => other.labels.includes(l)) : other.labels.length === 0;
  const under = other.labels.length > 0 ? `under the label ${spoken(other.labels)}` : 'and none of the labels';
  return {
    code: agree ? 'duplicate' : 'label_conflict',
    example_id: other.id,
    detail: agree ? `Example ${other.id} has ${what}.` : `Example ${other.id} has ${what} ${under}.`,
  };
}
