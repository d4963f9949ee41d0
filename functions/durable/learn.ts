/** Solving a version's head from what the object stores, and looking at examples for their owner (warnings, report). No I/O beyond the object's own tables. */
import type { Head } from '../../shared/head.ts';
import type { ClassifierConfig, ExampleWarning, NewExample } from '../domain/classifier-object.ts';
import { backgroundCenter } from '../learning/features.ts';
import { solveAdapted } from '../learning/adaptation/solve-adapted.ts';
import { argmax } from '../learning/features.ts';
import { solveHead, unitFeature, type Background, type Evidence, type LeftOut, type SolveInput } from '../learning/solve-head.ts';
import { labelVectors, membersAt, type Member, type Recipe } from './records.ts';
import { readTarget } from './target-inputs.ts';

/** Cosine from which two pictures or texts count as the same thing shown twice. */
export const NEAR_DUPLICATE = 0.97;

export type Solved = { readonly head: Head; readonly evidence: Evidence; readonly leftOut: LeftOut };

/** What the head of version `n` (null: of the examples as they are now) is solved from. */
export function solveInput(
  sql: SqlStorage,
  config: ClassifierConfig,
  labels: readonly string[],
  recipe: Recipe,
  background: Background,
  n: number | null,
): SolveInput {
  const place = new Map(labels.map((name, i) => [name, i]));
  const members = membersAt(sql, n, recipe.model);
  const vectors = labelVectors(sql);
  return {
    labels,
    task: config.task,
    transform: config.transform,
    dimension: config.dimension,
    examples: members.map((m) => ({ ...m, labelsOf: m.labels.flatMap((name) => place.get(name) ?? []) })).filter((m) => m.labelsOf.length > 0),
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
  n: number | null,
): Solved | null {
  const input = solveInput(sql, config, labels, recipe, background, n);
  return recipe.adaptation ? solveAdapted(input, readTarget(sql, recipe.adaptation.target), recipe.adaptation.mix) : solveHead(input);
}

/** What the caller should look at: exact and near duplicates, and examples that the others contradict. */
export function warningsFor(
  added: readonly NewExample[],
  before: readonly Member[],
  config: ClassifierConfig,
  background: Background,
  solved: Solved | null,
): ExampleWarning[][] {
  const center = backgroundCenter(background.base, config.transform, config.dimension);
  const known = before.map((m) => ({ id: m.id, labels: m.labels, sha256: m.sha256, unit: unitFeature(m.base, config.transform, center) }));
  return added.map((e) => {
    const warnings: ExampleWarning[] = [];
    const unit = unitFeature(e.base, config.transform, center);
    const same = known.find((m) => m.sha256 === e.sha256);
    if (same) warnings.push(duplicate(e, same, 'exactly the same bytes'));
    else {
      let nearest: (typeof known)[number] | null = null;
      let best = NEAR_DUPLICATE;
      for (const m of known) {
        let cosine = 0;
        for (let i = 0; i < unit.length; i++) cosine += unit[i]! * m.unit[i]!;
        if (cosine > best) [best, nearest] = [cosine, m];
      }
      if (nearest) warnings.push(duplicate(e, nearest, `nearly the same content (similarity ${best.toFixed(3)})`));
    }
    known.push({ id: e.id, labels: e.labels, sha256: e.sha256, unit });
    const at = solved ? solved.leftOut.ids.indexOf(e.id) : -1;
    if (solved && at >= 0) {
      const k = solved.head.labels.length;
      const said = solved.head.labels[argmax(solved.leftOut.scores.subarray(at * k, (at + 1) * k))]!;
      // Among several labels the best one may still be a no.
      const sure = config.task === 'single_label' || solved.leftOut.scores[at * k + solved.head.labels.indexOf(said)]! > 0;
      if (sure && !e.labels.includes(said))
        warnings.push({ code: 'disagrees', detail: `The other examples say "${said}", not "${e.labels.join(', ')}". Check the label.` });
    }
    return warnings;
  });
}

function duplicate(e: NewExample, other: { id: string; labels: readonly string[] }, what: string): ExampleWarning {
  const agree = e.labels.every((l) => other.labels.includes(l));
  return {
    code: agree ? 'duplicate' : 'label_conflict',
    example_id: other.id,
    detail: agree ? `Example ${other.id} has ${what}.` : `Example ${other.id} has ${what} under the label "${other.labels.join(', ')}".`,
  };
}
