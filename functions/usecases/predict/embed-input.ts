/** An input as the embeddings that a head is scored with. */
import { GraftError } from '../../../shared/errors.ts';
import type { Deps } from '../../deps.ts';
import type { Input } from '../../domain/read-input.ts';

export type Embedded = {
  readonly base: Float32Array;
  readonly tuned: Float32Array | null;
  readonly timings: { readonly decode: number; readonly embed: number; readonly queue: number };
};

/**
 * A vector is its own embedding. `model`: whose tuned tail is wanted beside the base. Throws what the encoder throws, and `unprocessable` when the
 * backbone gives embeddings of another length by now than the classifier's examples have.
 */
export async function embedInput(
  deps: Pick<Deps, 'encoder'>,
  input: Input,
  classifier: { readonly backbone: string | null; readonly dimension: number },
  model: string | null,
): Promise<Embedded> {
  if (input.kind === 'vector') return { base: input.vector, tuned: null, timings: { decode: 0, embed: 0, queue: 0 } };
  const { backbone, dimension } = classifier;
  if (backbone === null) throw new GraftError('unprocessable', `A classifier of vectors reads no ${input.kind}.`);
  const embedded = await deps.encoder.encode(input, { backbone, model });
  if (embedded.base.length !== dimension) {
    const detail =
      `The backbone "${backbone}" gives ${embedded.base.length} values since another version of it was published, ` +
      `and the examples of this classifier have ${dimension}. Create the classifier again and enroll its examples there.`;
    throw new GraftError('unprocessable', detail);
  }
  return embedded;
}
