/** One input, many classifiers: the network runs once for each fine-tuned model among them, and once in all when there is none. */
import { GraftError } from '../../../shared/errors.ts';
import type { ManyPredictRequest } from '../../../shared/wire/predictions.ts';
import type { Deps } from '../../deps.ts';
import { readInput } from '../../domain/read-input.ts';
import { loadForPrediction } from '../classifiers/load-classifier.ts';
import { embedInput, type Embedded } from './embed-input.ts';
import { servedHead, toPrediction, type Answered, type Timings } from './predict.ts';

type Needs = Pick<Deps, 'db' | 'now' | 'encoder' | 'heads'>;

export async function predictMany(deps: Needs, tenant: string, request: ManyPredictRequest): Promise<{ answered: Answered[]; timings: Timings }> {
  const classifiers = await Promise.all(request.classifiers.map(async (id) => await loadForPrediction(deps, tenant, id)));
  const first = classifiers[0];
  if (!first) throw new GraftError('invalid_request', 'Name at least one classifier.', { param: 'classifiers' });
  const other = classifiers.findIndex((c) => c.modality !== first.modality || c.backbone !== first.backbone || c.dimension !== first.dimension);
  if (other >= 0) {
    const detail = `The classifiers must share modality, backbone and dimension; "${classifiers[other]?.id}" differs from "${first.id}".`;
    throw new GraftError('unprocessable', detail, { param: `classifiers.${other}` });
  }
  const input = readInput(request, first);
  const heads = await Promise.all(
    classifiers.map(async (c) => await servedHead(deps, c.id, request.min_versions?.[c.id] ?? 0, `min_versions.${c.id}`)),
  );
  const embedded = new Map<string | null, Embedded>();
  for (const { model } of heads) if (!embedded.has(model)) embedded.set(model, await embedInput(deps, input, first, model));
  const started = performance.now();
  const answered = classifiers.map((classifier, i) => {
    const held = heads[i]!;
    const seen = embedded.get(held.model)!;
    return { classifier, held, input, embedded: seen, prediction: toPrediction(classifier, held, seen, request.top_k) };
  });
  const sum = (part: 'decode' | 'embed' | 'queue') => [...embedded.values()].reduce((total, e) => total + e.timings[part], 0);
  return { answered, timings: { decode: sum('decode'), embed: sum('embed'), queue: sum('queue'), score: performance.now() - started } };
}
