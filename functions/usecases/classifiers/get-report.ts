/** The report of a classifier's served version. */
import { Report } from '../../../shared/wire/report.ts';
import type { Deps } from '../../deps.ts';
import { loadClassifier } from './load-classifier.ts';

export async function getReport(deps: Pick<Deps, 'db' | 'classifier'>, tenant: string, id: string): Promise<Report> {
  await loadClassifier(deps, tenant, id);
  const report = (await deps.classifier(id).report()) as object;
  // What does not fit the published schema is our own fault and must not go out.
  return Report.parse({ ...report, classifier: id });
}
