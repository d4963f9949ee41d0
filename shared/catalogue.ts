/** The backbone catalogue: what each backbone is, where it came from and which files serve it. Set-up writes one manifest a backbone. */
import { z } from 'zod';

export const Modality = z.enum(['image', 'text', 'vector']).meta({ id: 'Modality' });
export type Modality = z.infer<typeof Modality>;

/** How many labels an input may have: exactly one, or any number of them. */
export const Task = z.enum(['single_label', 'multi_label']).meta({ id: 'Task' });
export type Task = z.infer<typeof Task>;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One content-addressed file: its bytes live in object storage under `blobs/<sha256>`. */
export const BlobFile = z.object({ name: z.string(), sha256: Sha256, bytes: z.number().int().positive() });
export type BlobFile = z.infer<typeof BlobFile>;

/** One number for all channels, or one for each in the order that the network reads them. */
const PerChannel = z.union([z.number(), z.tuple([z.number(), z.number(), z.number()])], 'must be one number, or three');
/** Decoded square → area mean down to `resize_px` → centre crop of `input_px` → (x − mean) / scale on 0…255. */
export const ImagePreprocessing = z.object({
  kind: z.literal('image'),
  square_px: z.number().int(),
  /** Side after the area mean; absent: the square stays as it is. */
  resize_px: z.number().int().optional(),
  input_px: z.number().int(),
  mean: PerChannel,
  scale: PerChannel,
  /** Absent: nchw. */
  layout: z.enum(['nchw', 'nhwc']).optional(),
  /** Absent: rgb. */
  channels: z.enum(['rgb', 'bgr']).optional(),
});
export type ImagePreprocessing = z.infer<typeof ImagePreprocessing>;
export const TextPreprocessing = z.object({ kind: z.literal('text'), tokenizer: z.literal('wordpiece-uncased'), max_tokens: z.number().int() });
export const Preprocessing = z.discriminatedUnion('kind', [ImagePreprocessing, TextPreprocessing]);
export type Preprocessing = z.infer<typeof Preprocessing>;

/** A graph is an ONNX file and, when its weights are outside it, their data file (`location` as the ONNX file names it). */
export const Graph = z.object({ model: BlobFile, data: BlobFile.nullable(), inputs: z.array(z.string()), outputs: z.array(z.string()) });
export type Graph = z.infer<typeof Graph>;

/** What one run at the edge takes; `edge` false: it does not fit there, and only a trainer uses it. */
export const Measured = z.object({ edge: z.boolean(), milliseconds: z.number(), memory_bytes: z.number().int() });
export type Measured = z.infer<typeof Measured>;

/** `backbones/<id>/manifest.json` in object storage and `.graft/backbones/<id>/manifest.json` on disk. */
export const BackboneManifest = z
  .object({
    format: z.literal('graft-backbone-1'),
    id: z.string(),
    modality: z.enum(['image', 'text']),
    dimension: z.number().int().positive(),
    /** The first values of an embedding, those that the last layer gives and texts of labels are compared by; absent: all of them are. */
    own_dimension: z.number().int().positive().optional(),
    version: z.string(),
    license: z.string(),
    source: z.string(),
    /** Of the upstream weight file that the conversion started from. */
    sha256: Sha256,
    preprocessing: Preprocessing,
    accuracy: z.string(),
    /** How features go into a linear head. */
    transform: z.enum(['l2', 'sqrt_l2']),
    trunk: Graph,
    tail: Graph,
    /** Trainable form for the engine (safetensors, upstream names); null for one that an operator added: heads are trained on it, its tail is not. */
    weights: BlobFile.nullable(),
    /** Text only: WordPiece vocabulary, one token a line. */
    vocabulary: BlobFile.nullable(),
    /** safetensors `embeddings` F32 [n, dimension] of background examples (raw embeddings, no transform). */
    background: BlobFile,
    /** What the engine needs to send the background through a tuned tail: pictures `features` F32 (trunk output); texts `input_ids`, `lengths` I32. */
    background_inputs: BlobFile,
    /** Pictures: what zero-shot answers are made from (`functions/learning/zero-shot.ts`); absent in backbones without published classes. */
    classes: BlobFile.nullish(),
    parity: z.object({ samples: z.number().int(), max_abs_difference: z.number(), min_cosine: z.number() }),
    /** Measured in the isolate when an operator added it; absent for the shipped ones, which the edge is built around. */
    measured: Measured.optional(),
  })
  .meta({ id: 'BackboneManifest' });
export type BackboneManifest = z.infer<typeof BackboneManifest>;

export const SHIPPED_BACKBONES = { image: 'efficientnet-lite0', text: 'all-minilm-l6-v2' } as const;
const SHIPPED: ReadonlySet<string> = new Set(Object.values(SHIPPED_BACKBONES));

export function isShipped(id: string): boolean {
  return SHIPPED.has(id);
}

const BACKBONE_ID_MAX_CHARS = 63;
/** Ids become part of an object key, so a caller's text must have this form before it is looked up: words of a–z and 0–9 joined by single dots or dashes. */
export const BackboneId = z
  .string()
  .max(BACKBONE_ID_MAX_CHARS)
  .regex(/^[a-z0-9]+(?:[.-][a-z0-9]+)*$/);

/**
 * `backbones/index.json`: what operators have added, in the order of adding. An id names one network for ever, because the embeddings of examples
 * rest on it: after a removal the entry stays, and only the same network (`fingerprint`) may have the id again.
 */
export const BackboneIndex = z.object({
  format: z.literal('graft-backbone-index-1'),
  backbones: z.array(z.object({ id: BackboneId, fingerprint: Sha256, removed: z.boolean() })),
});
export type BackboneIndex = z.infer<typeof BackboneIndex>;
