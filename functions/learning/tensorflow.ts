/** TensorFlow.js with its plain JavaScript kernels, evaluated when somebody first trains: no other isolate pays for it. */
import type * as tensorflow from '@tensorflow/tfjs-core';

export type Tensorflow = typeof tensorflow;

let loading: Promise<Tensorflow> | undefined;

export async function loadTensorflow(): Promise<Tensorflow> {
  return await (loading ??= load());
}

async function load(): Promise<Tensorflow> {
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  return tf;
}
