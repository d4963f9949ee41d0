/** What a training job takes from a classifier: the head being served, every example with an original, and that head without some of them. */
import { encodeHead } from '../../shared/head-file.ts';
import { rowOf } from './forget.ts';
import { placedExamples, solveVersion } from './learn.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';
import { seenBy } from './served-members.ts';

export function exportForTraining(ledger: Ledger) {
  const version = records.activeVersion(ledger.sql);
  const { head, model } = ledger.served(version);
  const all = records.selectExamples(ledger.sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: null });
  const examples = all.filter((e) => e.source === 'enrolled');
  const rows = all.flatMap(({ id, source, externalId: name }) => {
    const row = source === 'dataset' && name !== null ? rowOf(name) : null;
    return row ? [{ id, ...row }] : [];
  });
  return { version, model, head, examples, rows, fromDatasets: all.length - examples.length, falseRejectRate: ledger.config().falseRejectRate };
}

export function enrolledIds(sql: SqlStorage): string[] {
  return sql
    .exec<{ id: string }>("SELECT id FROM examples WHERE source = 'enrolled'")
    .toArray()
    .map(({ id }) => id);
}

/**
 * The head of a version as it would be, had these examples never been enrolled: rows that judge it must not have taught it. Null where the version is
 * gone, where nothing would be left to answer with, and where its head was not solved here: a job's learnt from rows of which some are kept, a
 * refinement's from all by gradients, and what is solved in their place is weaker. (A tail that was trained on them stays as it is.)
 */
export function headWithout(ledger: Ledger, version: number, examples: readonly string[]): Uint8Array | null {
  const { sql } = ledger;
  const config = ledger.config();
  const served = records.selectVersion(sql, version, config.backbone);
  if (!served) return null;
  const gone = new Set(examples);
  const seen = seenBy(sql, version);
  const origin = records.selectVersion(sql, seen.upTo, null);
  if (!origin || origin.kind === 'trained' || isRefined(origin.evidence)) return null;
  const left = placedExamples(sql, served.labels, seen).filter(({ id }) => !gone.has(id));
  const recipe = { ...served.recipe, pending: null };
  const solved = solveVersion(sql, config, served.labels, recipe, ledger.background(recipe), seen, left);
  return solved && encodeHead(solved.head);
}

const isRefined = (evidence: unknown): boolean => typeof evidence === 'object' && evidence !== null && 'refinement' in evidence;
