/** The backbone catalogue: what each backbone is, where it came from and which files serve it. Set-up writes one manifest a backbone. */
import { z } from 'zod';

export const Modality = z.enum(['image', 'text', 'vector']).meta({ id: 'Modality' });
export type Modality = z.infer<typeof Modality>;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One content-addressed file: its bytes live in object storage under `blobs/<sha256>`. */
export const BlobFile = z.object({ name: z.string(), sha256: Sha256, bytes: z.number().int().positive() });
export type BlobFile = z.infer<typeof BlobFile>;

export const ImagePreprocessing = z.object({
  kind: z.literal('image'),
  square_px: z.number().int(),
  input_px: z.number().int(),
  /** x' = (x − mean) / scale on 0…255 RGB; layout NCHW. */
  mean: z.number(),
  scale: z.number(),
});
export const TextPreprocessing = z.object({ kind: z.literal('text'), tokenizer: z.literal('wordpiece-uncased'), max_tokens: z.number().int() });
export const Preprocessing = z.discriminatedUnion('kind', [ImagePreprocessing, TextPreprocessing]);
export type Preprocessing = z.infer<typeof Preprocessing>;

/** A graph is an ONNX file and, when its weights are outside it, their data file (`location` as the ONNX file names it). */
export const Graph = z.object({ model: BlobFile, data: BlobFile.nullable(), inputs: z.array(z.string()), outputs: z.array(z.string()) });
export type Graph = z.infer<typeof Graph>;

/** `backbones/<id>/manifest.json` in object storage and `.graft/backbones/<id>/manifest.json` on disk. */
export const BackboneManifest = z
  .object({
    format: z.literal('graft-backbone-1'),
    id: z.string(),
    modality: z.enum(['image', 'text']),
    dimension: z.number().int().positive(),
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
    /** Trainable form for the engine (safetensors, upstream names). */
    weights: BlobFile,
    /** Text only: WordPiece vocabulary, one token a line. */
    vocabulary: BlobFile.nullable(),
    /** safetensors `embeddings` F32 [n, dimension] of background examples (raw embeddings, no transform). */
    background: BlobFile,
    /** What the engine needs to send the background through a tuned tail: pictures `features` F32 (trunk output); texts `input_ids`, `lengths` I32. */
    background_inputs: BlobFile,
    parity: z.object({ samples: z.number().int(), max_abs_difference: z.number(), min_cosine: z.number() }),
  })
  .meta({ id: 'BackboneManifest' });
export type BackboneManifest = z.infer<typeof BackboneManifest>;

export const SHIPPED_BACKBONES = { image: 'efficientnet-lite0', text: 'all-minilm-l6-v2' } as const;
