/** The forms of a prediction's body as one list of inputs to read. */
import type { Context } from 'hono';
import type { PredictQuery, PredictRequest } from '../../../shared/wire/predictions.ts';
import { readInput, readPicture, readText, type Input, type Reads } from '../../domain/read-input.ts';
import { GraftError } from '../../../shared/errors.ts';
import type { HttpEnv } from '../../http/context.ts';
import type { PredictOptions } from '../../usecases/predict/predict.ts';

type ToRead = (reads: Reads) => Input;
export type PredictionAsked = { readonly inputs: readonly ToRead[]; readonly isList: boolean; readonly options: PredictOptions };

/** The body of a raw picture or text. */
export async function fromRaw(c: Context<HttpEnv>, type: string, query: PredictQuery): Promise<PredictionAsked> {
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  const read: ToRead = (reads) => {
    const given = type === 'text/plain' ? 'text' : 'image';
    if (reads.modality !== given) throw new GraftError('unsupported_media_type', `The classifier reads ${reads.modality}; the body is ${type}.`);
    if (bytes.byteLength === 0) throw new GraftError('empty_body', 'The body is empty.');
    return given === 'text' ? readText(bytes) : { kind: 'image', bytes: readPicture(bytes) };
  };
  return { inputs: [read], isList: false, options: { topK: query.top_k, minVersion: query.min_version ?? 0, at: () => '' } };
}

export function fromJson(request: PredictRequest, query: PredictQuery): PredictionAsked {
  const inputs = request.inputs ?? [request];
  const isList = request.inputs !== undefined;
  return {
    inputs: inputs.map((input) => (reads: Reads) => readInput(input, reads)),
    isList,
    options: {
      topK: request.top_k ?? query.top_k,
      minVersion: request.min_version ?? query.min_version ?? 0,
      at: (index) => (isList ? `/inputs/${index}` : ''),
    },
  };
}
