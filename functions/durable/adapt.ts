/** A version adapted to a target domain, or the refusal with its evidence, inside the caller's transaction. */
import { encodeHead } from '../../shared/head-file.ts';
import type { Failure, LabelInfo, Outcome, TargetInput, TargetSource, VersionInfo } from '../domain/classifier-object.ts';
import { decideAdaptation } from '../learning/adaptation/decide.ts';
import { decideSeveral } from '../learning/adaptation/decide-several.ts';
import { standardised, standardisedRows } from '../learning/own-scale.ts';
import { chose } from './chosen.ts';
import { solveInput, standardisationFor } from './learn.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';
import { keepTarget } from './target-inputs.ts';

const LABELS_SHOWN = 10;
const failure = (code: Failure['code'], detail: string, evidence?: unknown): Failure => ({ ok: false, code, detail, evidence });

/** @param ledger with its background loaded; `from.model`: whose tuned embeddings the targets carry */
export function adaptVersion(
  ledger: Ledger,
  targets: readonly TargetInput[],
  from: { model: string | null; source: TargetSource | null },
): Outcome<VersionInfo> {
  const { sql } = ledger;
  const config = ledger.config();
  const active = ledger.activeRecipe();
  if (active.model !== from.model) return failure('conflict', 'Another version was activated while the target inputs were embedded. Ask again.');
  // From the examples, whatever the active version was adapted to; a temperature that a trainer measured belongs to its tail.
  const { model, tunedMix, temperature } = active;
  const recipe: records.Recipe = model === null ? records.PLAIN : { model, tunedMix, temperature, pending: null };
  const labels = records.selectLabels(sql).map((l) => l.name);
  const wrong = targets.findIndex((t) => t.base.length !== config.dimension);
  if (wrong >= 0) return failure('unprocessable', `Input ${wrong} has ${targets[wrong]!.base.length} values, expected ${config.dimension}.`);
  const stranger = targets.flatMap((t) => t.labels ?? []).find((label) => !labels.includes(label));
  if (stranger !== undefined) return failure('unknown_label', `This classifier has no label "${stranger}". It has: ${labels.join(', ') || 'none'}.`);
  const plain = solveInput(sql, config, labels, recipe, ledger.background(recipe), null);
  const by = standardisationFor(config, () => plain);
  const input = standardised(plain, by);
  if (input.examples.length === 0) return failure('nothing_to_predict', 'There is no example to adapt yet. Enroll some of the source domain first.');
  const taught = new Set(input.examples.flatMap((e) => e.labelsOf)).size;
  if (taught < 2)
    return failure('unprocessable', 'Adaptation moves labels against each other, and only one has examples. Enroll some of another label first.');
  const rows = standardisedRows(targets, by);
  const said = targets.map((t) => t.labels && t.labels.map((label) => labels.indexOf(label)));
  const one = said.map((own) => own?.[0] ?? null);
  const decision = config.task === 'multi_label' ? decideSeveral(input, rows, said) : decideAdaptation(input, rows, one);
  const source = from.source ? { source: from.source } : {};
  if (!decision) return failure('unprocessable', lacking(records.selectLabels(sql)));
  if (!decision.adapt) return failure('negative_transfer', decision.detail, { reason: decision.reason, ...source, ...decision.evidence });
  const n = records.latestVersion(sql) + 1;
  const target = keepTarget(sql, n, targets, config.dimension);
  ledger.append({
    kind: 'adapted',
    labels,
    recipe: { ...recipe, adaptation: { target, mix: decision.mix } },
    evidence: { ...decision.solved.evidence, adaptation: { ...source, ...decision.evidence } },
    head: encodeHead({ ...decision.solved.head, standardisation: by }),
    parent: records.activeVersion(sql) || null,
  });
  chose(sql, n);
  return { ok: true, value: records.selectVersion(sql, n, config.backbone)! };
}

/** Labels whose names alone speak for them cannot be moved to another domain. */
function lacking(labels: readonly LabelInfo[]): string {
  const bare = labels.filter((l) => l.examples === 0).map((l) => `"${l.name}"`);
  const shown = bare.length > LABELS_SHOWN ? [...bare.slice(0, LABELS_SHOWN), `${bare.length - LABELS_SHOWN} more`] : bare;
  return `Labels without an example have only their names to speak for them: ${shown.join(', ')}. Enroll one of each first.`;
}
