/** A classifier that stands on a trained model of its tenant: new classes over the tuned network, from the first example on. */
import type { StartingModel } from '../domain/classifier-object.ts';
import type { Objects } from '../objects/objects.ts';
import { keepTunedBackground } from './backgrounds.ts';
import type { Recipe } from './records.ts';
import { fetchHead, fetchTrainingRows } from './trained.ts';

type Ground = { readonly model: string; readonly mix: number; readonly background: Float32Array | null };

/** The weight that the model's own head gives the tuned embedding, by its evidence, and the background as that network sees it. */
export async function fetchGround(objects: Objects, start: StartingModel, dimension: number): Promise<Ground> {
  const { head } = await fetchHead(objects, start.headKey);
  const { backgroundTuned } = await fetchTrainingRows(objects, start.embeddingsKey, dimension);
  const tuned = head.components.find((component) => component.embedding === 'tuned');
  // A weight of 0 was a refusal for the model's own classes; who asks for the network by name gets it.
  return { model: start.model, mix: tuned?.mix || 1, background: backgroundTuned };
}

/** To be called inside the transaction. The model's temperature stays behind: it belongs to the classes that it was trained on. */
export function standOn(sql: SqlStorage, ground: Ground, dimension: number): Recipe {
  if (ground.background) keepTunedBackground(sql, ground.model, ground.background, dimension);
  return { model: ground.model, tunedMix: ground.mix, temperature: null, pending: null };
}
