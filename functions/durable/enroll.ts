/** Examples entering a classifier, inside the caller's transaction: from an enrollment, or from the review queue. */
import type { ClassifierConfig, ExampleWarning, NewExample } from '../domain/classifier-object.ts';
import { addBrought } from './brought-labels.ts';
import { warningsFor } from './learn.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';

export type NewLabel = { readonly name: string; readonly embedding: Float32Array | null };

/** All of them and one new version; examples that are there already change nothing. */
export function enrollInto(
  ledger: Ledger,
  config: ClassifierConfig,
  examples: readonly NewExample[],
  newLabels: readonly NewLabel[],
): { version: number; warnings: ExampleWarning[][] } {
  const { sql } = ledger;
  for (const label of newLabels) addBrought(sql, label);
  const since = records.latestVersion(sql) + 1;
  let added = 0;
  for (const e of examples) {
    for (const name of e.labels) addBrought(sql, { name, embedding: null });
    if (records.insertExample(sql, e, since, 'enrolled', Date.now())) added++;
  }
  const recipe = ledger.activeRecipe();
  const { version, solved } = added > 0 ? ledger.solveNext(recipe) : { version: records.activeVersion(sql), solved: null };
  return { version, warnings: warningsFor(examples, records.eachMember(sql, null, null), config, ledger.background(recipe), solved) };
}
