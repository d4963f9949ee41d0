/** Predictions in the form of the Open Inference Protocol: tensors in, tensors out. */
import { GraftError } from '../../../shared/errors.ts';
import { OUTPUTS, type InferRequest, type InferResponse, type OutputName } from '../../../shared/wire/inference-protocol.ts';
import type { Deps } from '../../deps.ts';
import { loadForPrediction } from '../classifiers/load-classifier.ts';
import { predictWith, type Answered, type Timings } from '../predict/predict.ts';
import type { ModelAsked } from './describe-model.ts';
import { heldVersion } from './held-version.ts';
import { readTensor } from './read-tensor.ts';

type Output = InferResponse['outputs'][number];
/** `active`: what was asked is what the classifier serves, so the inputs count for its review queue and drift. */
export type Inferred = { readonly response: InferResponse; readonly answered: Answered[]; readonly timings: Timings; readonly active: boolean };

export async function infer(
  deps: Pick<Deps, 'db' | 'now' | 'encoder' | 'heads' | 'classifier'>,
  tenant: string,
  asked: ModelAsked,
  request: InferRequest,
): Promise<Inferred> {
  const classifier = await loadForPrediction(deps, tenant, asked.id);
  const outputs = OUTPUTS.filter((name) => name !== 'labels' || classifier.task === 'multi_label');
  const names = request.outputs?.map((output) => output.name) ?? outputs;
  const missing = names.findIndex((name) => !outputs.includes(name));
  if (missing >= 0) throw noOutput(missing, names[missing]!, outputs);
  const held = await heldVersion(deps, asked.id, asked.n);
  const { rows, at } = readTensor(request.inputs[0]!, classifier);
  const { answered, timings } = await predictWith(deps, classifier, held, rows, (read) => read(), { topK: undefined, at });
  const unknown = answered.map(({ prediction }) => prediction.unknown);
  const { openSet, labels } = held.head;
  const response: InferResponse = {
    model_name: classifier.id,
    model_version: String(held.version),
    ...(request.id === undefined ? {} : { id: request.id }),
    parameters: { unknown: unknown.length === 1 ? unknown[0]! : unknown, ...(openSet ? { threshold: openSet.threshold } : {}) },
    outputs: [...new Set(names)].map((name) => outputOf(name, answered, labels)),
  };
  return { response, answered, timings, active: held.active };
}

function outputOf(name: OutputName, answered: readonly Answered[], labels: readonly string[]): Output {
  const rows = answered.length;
  if (name === 'label') return { name, datatype: 'BYTES', shape: [rows], data: answered.map(({ prediction }) => prediction.label ?? '') };
  if (name === 'embedding') {
    const data = answered.flatMap(({ embedded }) => [...embedded.base]);
    return { name, datatype: 'FP32', shape: [rows, data.length / rows], data };
  }
  if (name === 'labels') {
    const data = answered.flatMap(({ prediction }) => labels.map((label) => prediction.labels?.includes(label) ?? false));
    return { name, datatype: 'BOOL', shape: [rows, labels.length], parameters: { labels }, data };
  }
  // Columns keep their place, whatever is likeliest.
  const data = answered.flatMap(({ prediction }) => {
    const scores = new Map(prediction.scores.map(({ label, score }) => [label, score]));
    return labels.map((label) => scores.get(label) ?? 0);
  });
  return { name, datatype: 'FP32', shape: [rows, labels.length], parameters: { labels }, data };
}

function noOutput(index: number, name: string, outputs: readonly string[]): GraftError {
  const [code, detail] = ['invalid_request' as const, `The model has no output "${name}"; it has ${outputs.join(', ')}.`];
  return new GraftError(code, detail, { param: `outputs.${index}.name`, errors: [{ pointer: `/outputs/${index}/name`, code, detail }] });
}
