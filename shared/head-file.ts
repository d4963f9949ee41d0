/** A head as safetensors: tensors `components.<k>.{center,weight,bias}`, `support.{center,rows,label_of}`; the rest as JSON in the metadata key `graft`. */
import { z } from 'zod';
import type { Head, HeadComponent, Support } from './head.ts';
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor, type Tensor } from './safetensors.ts';

const Transform = z.enum(['l2', 'sqrt_l2']);
const Source = z.enum(['base', 'tuned']);
/** The JSON part of a head file; the engine (Python) writes the same. */
export const HeadMetadata = z
  .object({
    format: z.literal('graft-head-1'),
    labels: z.array(z.string()),
    task: z.enum(['single_label', 'multi_label']),
    temperature: z.number().positive(),
    components: z.array(
      z.object({ embedding: Source, name: z.string(), transform: Transform, dimension: z.number().int().positive(), mix: z.number() }),
    ),
    open_set: z.object({ threshold: z.number(), false_reject_rate: z.number(), best_weight: z.number(), nearest_weight: z.number() }).nullable(),
    support: z.object({ embedding: Source, transform: Transform, dimension: z.number().int().positive() }).nullable(),
  })
  .meta({ id: 'HeadMetadata' });
export type HeadMetadata = z.infer<typeof HeadMetadata>;

export function encodeHead(head: Head): Uint8Array {
  const tensors: Record<string, Tensor> = {};
  for (const [k, c] of head.components.entries()) {
    tensors[`components.${k}.center`] = tensor('F32', [c.dimension], c.center);
    tensors[`components.${k}.weight`] = tensor('F32', [head.labels.length, c.dimension], c.weight);
    tensors[`components.${k}.bias`] = tensor('F32', [head.labels.length], c.bias);
  }
  if (head.support) {
    const s = head.support;
    tensors['support.center'] = tensor('F32', [s.dimension], s.center);
    tensors['support.rows'] = tensor('F32', [s.labelOf.length, s.dimension], s.rows);
    tensors['support.label_of'] = tensor('I32', [s.labelOf.length], s.labelOf);
  }
  const metadata: HeadMetadata = {
    format: 'graft-head-1',
    labels: [...head.labels],
    task: head.task,
    temperature: head.temperature,
    components: head.components.map(({ embedding, name, transform, dimension, mix }) => ({ embedding, name, transform, dimension, mix })),
    open_set: head.openSet && {
      threshold: head.openSet.threshold,
      false_reject_rate: head.openSet.falseRejectRate,
      best_weight: head.openSet.bestWeight,
      nearest_weight: head.openSet.nearestWeight,
    },
    support: head.support && { embedding: head.support.embedding, transform: head.support.transform, dimension: head.support.dimension },
  };
  return encodeSafetensors(tensors, { graft: JSON.stringify(metadata) });
}

/** Throws `RangeError`, `SyntaxError` or `ZodError` when the file is not a head. */
export function decodeHead(bytes: Uint8Array): Head {
  const file = decodeSafetensors(bytes);
  const m = HeadMetadata.parse(JSON.parse(file.metadata['graft'] ?? 'null'));
  const components: HeadComponent[] = m.components.map((c, k) => {
    const weight = takeTensor(file, `components.${k}.weight`, 'F32', 2);
    if (weight.shape[0] !== m.labels.length || weight.shape[1] !== c.dimension)
      throw new RangeError(`components.${k}.weight is [${weight.shape.join(', ')}], expected [${m.labels.length}, ${c.dimension}]`);
    const bias = takeTensor(file, `components.${k}.bias`, 'F32', 1).data;
    const center = takeTensor(file, `components.${k}.center`, 'F32', 1).data;
    if (bias.length !== m.labels.length || center.length !== c.dimension)
      throw new RangeError(`components.${k} has a bias or center of the wrong length`);
    return { ...c, center, weight: weight.data, bias };
  });
  let support: Support | null = null;
  if (m.support) {
    const rows = takeTensor(file, 'support.rows', 'F32', 2);
    const labelOf = takeTensor(file, 'support.label_of', 'I32', 1).data;
    if (rows.shape[0] !== labelOf.length || rows.shape[1] !== m.support.dimension) throw new RangeError('support.rows does not fit support.label_of');
    support = { ...m.support, center: takeTensor(file, 'support.center', 'F32', 1).data, rows: rows.data, labelOf };
  }
  const openSet = m.open_set && {
    threshold: m.open_set.threshold,
    falseRejectRate: m.open_set.false_reject_rate,
    bestWeight: m.open_set.best_weight,
    nearestWeight: m.open_set.nearest_weight,
  };
  return { labels: m.labels, task: m.task, components, temperature: m.temperature, openSet, support };
}
