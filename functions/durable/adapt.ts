/** A version adapted to a target domain, or the refusal with its evidence, inside the caller's transaction. */
import { encodeHead } from '../../shared/head-file.ts';
import type { Failure, Outcome, TargetInput, VersionInfo } from '../domain/classifier-object.ts';
import { decideAdaptation } from '../learning/adaptation/decide.ts';
import { solveInput } from './learn.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';
import { keepTarget } from './target-inputs.ts';

const failure = (code: Failure['code'], detail: string, evidence?: unknown): Failure => ({ ok: false, code, detail, evidence });

/** @param ledger with its background loaded */
export function adaptVersion(ledger: Ledger, targets: readonly TargetInput[]): Outcome<VersionInfo> {
  const { sql } = ledger;
  const config = ledger.config();
  const recipe = ledger.activeRecipe();
  const labels = records.selectLabels(sql).map((l) => l.name);
  const wrong = targets.findIndex((t) => t.base.length !== config.dimension);
  if (wrong >= 0) return failure('unprocessable', `Input ${wrong} has ${targets[wrong]!.base.length} values, expected ${config.dimension}.`);
  const stranger = targets.find((t) => t.label !== null && !labels.includes(t.label));
  if (stranger) return failure('unknown_label', `This classifier has no label "${stranger.label}". It has: ${labels.join(', ') || 'none'}.`);
  if (config.task === 'multi_label') return failure('unprocessable', 'Adaptation reads one label an example; this classifier has several.');
  if (recipe.model !== null)
    return failure(
      'unprocessable',
      `The active version runs on the fine-tuned model ${recipe.model}; adaptation in closed form reads the plain backbone. Train with domain_adaptation, or activate a version without a model first.`,
    );
  const input = solveInput(sql, config, labels, records.PLAIN, ledger.background(records.PLAIN), null);
  if (input.examples.length === 0) return failure('nothing_to_predict', 'There is no example to adapt yet. Enroll some of the source domain first.');
  const rows = targets.map((t) => t.base);
  const decision = decideAdaptation(
    input,
    rows,
    targets.map((t) => (t.label === null ? null : labels.indexOf(t.label))),
  );
  if (!decision) return failure('unprocessable', 'Some labels have no example yet, and only their names speak for them. Enroll one of each first.');
  if (!decision.adapt) return failure('negative_transfer', decision.detail, { reason: decision.reason, ...decision.evidence });
  const n = records.latestVersion(sql) + 1;
  const target = keepTarget(sql, n, rows, config.dimension);
  ledger.append({
    kind: 'adapted',
    labels,
    recipe: { ...records.PLAIN, adaptation: { target, mix: decision.mix } },
    evidence: { ...decision.solved.evidence, adaptation: decision.evidence },
    head: encodeHead(decision.solved.head),
    parent: records.activeVersion(sql) || null,
  });
  return { ok: true, value: records.selectVersion(sql, n, config.backbone)! };
}
