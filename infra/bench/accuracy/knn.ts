/** TensorFlow.js' knn-classifier, the usual choice in a browser, on the same episodes. */
import { create } from '@tensorflow-models/knn-classifier';
import * as tf from '@tensorflow/tfjs';
import type { MeasuredSet } from './embeddings.ts';
import type { Episode } from './episodes.ts';

export async function runTfjsKnn(set: MeasuredSet, episode: Episode): Promise<number> {
  const knn = create();
  for (const [i, row] of episode.support.entries()) {
    const example = tf.tensor1d(set.rows[row]!);
    knn.addExample(example, episode.supportY[i]!);
    example.dispose();
  }
  let right = 0;
  for (const [i, row] of episode.query.entries()) {
    const input = tf.tensor1d(set.rows[row]!);
    const { label } = await knn.predictClass(input);
    input.dispose();
    if (Number(label) === episode.queryY[i]) right++;
  }
  knn.dispose();
  return (100 * right) / episode.query.length;
}
