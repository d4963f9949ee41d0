/** An input as the embeddings that a head is scored with. */
import { GraftError } from '../../../shared/errors.ts';
import type { Deps } from '../../deps.ts';
import type { Input } from '../../domain/read-input.ts';

export type Embedded = {
  readonly base: Float32Array;
  readonly tuned: Float32Array | null;
  readonly timings: { readonly decode: number; readonly embed: number; readonly queue: number };
};

/** A vector is its own embedding. `model`: whose tuned tail is wanted beside the base. */
export async function embedInput(
  deps: Pick<Deps, 'encoder'>,
  input: Input,
  on: { readonly backbone: string | null; readonly model: string | null },
): Promise<Embedded> {
  if (input.kind === 'vector') return { base: input.vector, tuned: null, timings: { decode: 0, embed: 0, queue: 0 } };
  if (on.backbone === null) throw new GraftError('unprocessable', `A classifier of vectors reads no ${input.kind}.`);
  return await deps.encoder.encode(input, { backbone: on.backbone, model: on.model });
}
