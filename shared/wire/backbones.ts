/** Bodies of `/v1/backbones`. */
import { z } from 'zod';
import { BackboneId, ImagePreprocessing, Preprocessing } from '../catalogue.ts';
import { IMAGE_SQUARE_SIDE_PX, TEXT_MAX_TOKENS, VECTOR_MAX_DIMENSION } from '../limits.ts';

export const Backbone = z
  .object({
    object: z.literal('backbone'),
    id: z.string(),
    modality: z.enum(['image', 'text']),
    dimension: z.number().int(),
    version: z.string(),
    license: z.string(),
    source: z.string(),
    sha256: z.string(),
    preprocessing: Preprocessing,
    accuracy: z.string(),
    serving: z.object({
      bytes: z.number().int(),
      edge: z.boolean().meta({ description: 'False: only training jobs use it.' }),
      milliseconds: z
        .number()
        .optional()
        .meta({ description: 'Of one run, and the wasm memory that it takes at most: measured when an operator added it.' }),
      memory_bytes: z.number().int().optional(),
    }),
  })
  .meta({ id: 'Backbone' });
export type Backbone = z.infer<typeof Backbone>;

const Words = z.string().trim().min(1).max(500);
const notZero = (value: number | readonly number[]): boolean => [value].flat().every((v) => v !== 0);
const NewImagePreprocessing = ImagePreprocessing.omit({ square_px: true })
  .extend({
    input_px: z.number().int().min(16).max(IMAGE_SQUARE_SIDE_PX),
    resize_px: z.number().int().max(IMAGE_SQUARE_SIDE_PX).optional(),
    scale: ImagePreprocessing.shape.scale.refine(notZero, 'A scale divides and cannot be 0.'),
  })
  .strict()
  .refine((p) => p.resize_px === undefined || p.resize_px >= p.input_px, { message: '"resize_px" is smaller than "input_px".', path: ['resize_px'] })
  .meta({ id: 'NewImagePreprocessing' });
const NewTextPreprocessing = z
  .object({ kind: z.literal('text'), tokenizer: z.literal('wordpiece-uncased'), max_tokens: z.number().int().min(2).max(TEXT_MAX_TOKENS) })
  .strict()
  .meta({ id: 'NewTextPreprocessing' });

/** What an operator says of a network; the ONNX file comes beside it. */
export const NewBackbone = z
  .object({
    id: BackboneId,
    modality: z.enum(['image', 'text']),
    dimension: z
      .number()
      .int()
      .positive()
      .max(VECTOR_MAX_DIMENSION)
      .optional()
      .meta({ description: 'Checked when given; otherwise what the network gives.' }),
    version: Words,
    license: Words,
    source: Words,
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .meta({ description: 'Of the ONNX file.' }),
    preprocessing: z.discriminatedUnion('kind', [NewImagePreprocessing, NewTextPreprocessing]),
    transform: z.enum(['l2', 'sqrt_l2']).default('l2'),
    accuracy: Words.default('not measured'),
  })
  .strict()
  .refine((b) => b.modality === b.preprocessing.kind, { message: 'The preprocessing is for another modality.', path: ['preprocessing', 'kind'] })
  .meta({ id: 'NewBackbone' });
export type NewBackbone = z.infer<typeof NewBackbone>;

export const AddBackboneRequest = z
  .object({
    ...NewBackbone.shape,
    onnx: z.string().meta({ description: 'The file, base64.' }),
  })
  .strict()
  .refine((b) => b.modality === b.preprocessing.kind, { message: 'The preprocessing is for another modality.', path: ['preprocessing', 'kind'] })
  .meta({ id: 'AddBackboneRequest' });
export type AddBackboneRequest = z.infer<typeof AddBackboneRequest>;

export const DeletedBackbone = z.object({ object: z.literal('backbone'), id: z.string(), deleted: z.literal(true) }).meta({ id: 'DeletedBackbone' });
