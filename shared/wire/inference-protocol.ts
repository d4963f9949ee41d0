/** Bodies of `/v2`: Open Inference Protocol v2 (https://github.com/kserve/open-inference-protocol, REST). A classifier is a model, its id the name. */
import { z } from 'zod';
import { BATCH_MAX_INPUTS } from '../limits.ts';

export const PLATFORM = 'graft';

const Parameters = z.record(z.string(), z.unknown());
const TensorMetadata = z.object({
  name: z.string(),
  datatype: z.enum(['BYTES', 'FP32', 'BOOL']),
  shape: z.array(z.number().int()).meta({ description: '−1: as many as the request has.' }),
  parameters: Parameters.optional(),
});

export const ServerMetadata = z
  .object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({ id: 'InferenceServerMetadata' });
export const ServerLive = z.object({ live: z.literal(true) }).meta({ id: 'InferenceServerLive' });
export const ServerReady = z.object({ ready: z.boolean() }).meta({ id: 'InferenceServerReady' });
export const ModelReady = z.object({ name: z.string(), ready: z.literal(true) }).meta({ id: 'InferenceModelReady' });

export const ModelMetadata = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.literal(PLATFORM),
    inputs: z.array(TensorMetadata),
    outputs: z.array(TensorMetadata),
  })
  .meta({ id: 'InferenceModelMetadata' });
export type ModelMetadata = z.infer<typeof ModelMetadata>;

const InputTensor = z.object({
  name: z.string().meta({ description: '`image`, `text` or `embedding`, whichever the classifier reads.' }),
  shape: z.array(z.number().int().nonnegative()).min(1).max(2),
  datatype: z.string().meta({ description: '`BYTES` for `image` (base64) and `text`, `FP32` for `embedding`.' }),
  parameters: Parameters.optional(),
  data: z.array(z.unknown()).meta({ description: 'Row by row, flat or nested.' }),
});
export type InputTensor = z.infer<typeof InputTensor>;

/** `labels`: of classifiers of several labels an input, which of the columns of `scores` are present. */
export const OUTPUTS = ['label', 'labels', 'scores', 'embedding'] as const;
export type OutputName = (typeof OUTPUTS)[number];

export const InferRequest = z
  .object({
    id: z.string().max(200).optional(),
    parameters: Parameters.optional(),
    inputs: z
      .array(InputTensor)
      .length(1)
      .meta({ description: `One tensor of 1 to ${BATCH_MAX_INPUTS} rows.` }),
    outputs: z
      .array(z.object({ name: z.enum(OUTPUTS), parameters: Parameters.optional() }))
      .min(1)
      .optional()
      .meta({ description: 'Default: all. `labels` is an output of classifiers of several labels an input alone.' }),
  })
  .meta({ id: 'InferenceRequest' });
export type InferRequest = z.infer<typeof InferRequest>;

export const InferResponse = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    parameters: z.object({
      unknown: z.union([z.boolean(), z.array(z.boolean())]).meta({ description: 'Of one input; of several, one each.' }),
      threshold: z.number().optional().meta({ description: 'Of the open-set rule; absent where the classifier never answers unknown.' }),
    }),
    outputs: z.array(
      z.object({
        name: z.enum(OUTPUTS),
        datatype: z.enum(['BYTES', 'FP32', 'BOOL']),
        shape: z.array(z.number().int()),
        /** Of `scores` and `labels`: `labels`, what each column stands for. */
        parameters: Parameters.optional(),
        data: z.array(z.union([z.string(), z.number(), z.boolean()])).meta({ description: '`label`: the empty string where the input is unknown.' }),
      }),
    ),
  })
  .meta({ id: 'InferenceResponse' });
export type InferResponse = z.infer<typeof InferResponse>;
