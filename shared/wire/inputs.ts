/** One thing to embed: a picture (base64), a text or a vector. */
import { z } from 'zod';
import { IMAGE_MAX_BYTES, TEXT_MAX_BYTES, VECTOR_MAX_DIMENSION } from '../limits.ts';

/** The three fields; exactly one is given (see `exactlyOneInput`). The bounds in bytes are checked after decoding, with their own errors. */
export const inputFields = {
  image: z
    .string()
    .min(1)
    .optional()
    .meta({ description: `A JPEG, PNG or WebP, base64 (a data: URL is taken too), at most ${IMAGE_MAX_BYTES} bytes.` }),
  text: z
    .string()
    .optional()
    .meta({ description: `At most ${TEXT_MAX_BYTES} bytes of UTF-8; the first 128 tokens are read.` }),
  vector: z.array(z.number()).min(1).max(VECTOR_MAX_DIMENSION).optional(),
} as const;

export type InputFields = { readonly image?: string | undefined; readonly text?: string | undefined; readonly vector?: number[] | undefined };

export function inputCount(input: InputFields): number {
  return [input.image, input.text, input.vector].filter((value) => value !== undefined).length;
}

export const ONE_INPUT = 'Give exactly one of "image", "text" and "vector".';
