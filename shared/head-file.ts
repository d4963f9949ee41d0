/**
 * A head as safetensors: tensors `components.<k>.{center,weight,bias}` (no centre with a kernel: the support's), `support.{center,rows,label_of,factor}`
 * and `support.basis` where the rows are written in one,
 * `standardisation.{mean,scale}`; the rest as JSON in the metadata key `graft`.
 */
import { z } from 'zod';
import type { Head, HeadComponent, Standardisation, Support } from './head.ts';
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor, type Tensor, type TensorFile } from './safetensors.ts';

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
      z.object({
        embedding: Source,
        name: z.string(),
        transform: Transform,
        dimension: z.number().int().positive(),
        mix: z.number(),
        /** Power of the polynomial kernel over the support rows; absent for a linear component. */
        kernel_power: z.literal([1, 2, 4, 8, 16]).optional(),
      }),
    ),
    open_set: z.object({ threshold: z.number(), false_reject_rate: z.number(), best_weight: z.number(), variance_weight: z.number() }).nullable(),
    support: z.object({ embedding: Source, transform: Transform, dimension: z.number().int().positive() }).nullable(),
    /** Absent where embeddings are read as they come. */
    standardisation: z.object({ dimension: z.number().int().positive(), constant: z.number() }).optional(),
  })
  .meta({ id: 'HeadMetadata' });
export type HeadMetadata = z.infer<typeof HeadMetadata>;

export function encodeHead(head: Head): Uint8Array {
  const tensors: Record<string, Tensor> = {};
  for (const [k, c] of head.components.entries()) {
    if (!c.kernel) tensors[`components.${k}.center`] = tensor('F32', [c.dimension], c.center);
    const columns = c.kernel ? (head.support?.labelOf.length ?? 0) : c.dimension;
    tensors[`components.${k}.weight`] = tensor('F32', [head.labels.length, columns], c.weight);
    tensors[`components.${k}.bias`] = tensor('F32', [head.labels.length], c.bias);
  }
  if (head.support) {
    const s = head.support;
    tensors['support.center'] = tensor('F32', [s.dimension], s.center);
    if (s.basis) tensors['support.basis'] = tensor('F32', [s.basis.length / s.dimension, s.dimension], s.basis);
    tensors['support.rows'] = tensor('F32', [s.labelOf.length, s.basis ? s.basis.length / s.dimension : s.dimension], s.rows);
    tensors['support.label_of'] = tensor('I32', [s.labelOf.length], s.labelOf);
    const side = Math.sqrt(s.factor.length);
    tensors['support.factor'] = tensor('F32', [side, side], s.factor);
  }
  const lens = head.standardisation;
  if (lens) {
    tensors['standardisation.mean'] = tensor('F32', [lens.mean.length], lens.mean);
    tensors['standardisation.scale'] = tensor('F32', [lens.scale.length], lens.scale);
  }
  const metadata: HeadMetadata = {
    format: 'graft-head-1',
    labels: [...head.labels],
    task: head.task,
    temperature: head.temperature,
    components: head.components.map(({ embedding, name, transform, dimension, mix, kernel }) => {
      const linear = { embedding, name, transform, dimension, mix };
      return kernel ? { ...linear, kernel_power: kernel.power } : linear;
    }),
    open_set: head.openSet && {
      threshold: head.openSet.threshold,
      false_reject_rate: head.openSet.falseRejectRate,
      best_weight: head.openSet.bestWeight,
      variance_weight: head.openSet.varianceWeight,
    },
    support: head.support && { embedding: head.support.embedding, transform: head.support.transform, dimension: head.support.dimension },
    ...(lens ? { standardisation: { dimension: lens.mean.length, constant: lens.constant } } : {}),
  };
  return encodeSafetensors(tensors, { graft: JSON.stringify(metadata) });
}

/** Throws `RangeError`, `SyntaxError` or `ZodError` when the file is not a head. */
export function decodeHead(bytes: Uint8Array): Head {
  const file = decodeSafetensors(bytes);
  const m = HeadMetadata.parse(JSON.parse(file.metadata['graft'] ?? 'null'));
  const support = supportOf(file, m);
  const components: HeadComponent[] = m.components.map(({ kernel_power: power, ...c }, k) => {
    if (power !== undefined && (!support || !sameSpace(support, c))) throw new RangeError(`components.${k} has a kernel over other support rows`);
    const columns = power !== undefined && support ? support.labelOf.length : c.dimension;
    const weight = takeTensor(file, `components.${k}.weight`, 'F32', 2);
    if (weight.shape[0] !== m.labels.length || weight.shape[1] !== columns)
      throw new RangeError(`components.${k}.weight is [${weight.shape.join(', ')}], expected [${m.labels.length}, ${columns}]`);
    const bias = takeTensor(file, `components.${k}.bias`, 'F32', 1).data;
    const center = power !== undefined && support ? support.center : takeTensor(file, `components.${k}.center`, 'F32', 1).data;
    if (bias.length !== m.labels.length || center.length !== c.dimension)
      throw new RangeError(`components.${k} has a bias or center of the wrong length`);
    return { ...c, kernel: power === undefined ? null : { power }, center, weight: weight.data, bias };
  });
  const openSet = m.open_set && {
    threshold: m.open_set.threshold,
    falseRejectRate: m.open_set.false_reject_rate,
    bestWeight: m.open_set.best_weight,
    varianceWeight: m.open_set.variance_weight,
  };
  return { labels: m.labels, task: m.task, components, temperature: m.temperature, openSet, support, standardisation: standardisationOf(file, m) };
}

function supportOf(file: TensorFile, { support: given }: HeadMetadata): Support | null {
  if (!given) return null;
  const rows = takeTensor(file, 'support.rows', 'F32', 2);
  const labelOf = takeTensor(file, 'support.label_of', 'I32', 1).data;
  const basis = file.tensors['support.basis'] ? takeTensor(file, 'support.basis', 'F32', 2) : null;
  if (basis && basis.shape[1] !== given.dimension) throw new RangeError('support.basis does not fit the dimension');
  const width = basis ? basis.shape[0] : given.dimension;
  if (rows.shape[0] !== labelOf.length || rows.shape[1] !== width)
    throw new RangeError('support.rows does not fit support.label_of or its directions');
  const factor = takeTensor(file, 'support.factor', 'F32', 2);
  const [side] = factor.shape;
  if (side !== factor.shape[1] || side! > labelOf.length) throw new RangeError('support.factor does not fit support.label_of');
  const center = takeTensor(file, 'support.center', 'F32', 1).data;
  return { ...given, factor: factor.data, center, basis: basis?.data ?? null, rows: rows.data, labelOf };
}

function standardisationOf(file: TensorFile, { standardisation: given }: HeadMetadata): Standardisation | null {
  if (!given) return null;
  const [mean, scale] = ['mean', 'scale'].map((name) => takeTensor(file, `standardisation.${name}`, 'F32', 1).data) as [Float32Array, Float32Array];
  if (mean.length !== given.dimension || scale.length !== given.dimension)
    throw new RangeError('standardisation.mean or .scale has the wrong length');
  return { mean, scale, constant: given.constant };
}

function sameSpace(a: Support, b: { embedding: string; transform: string; dimension: number }): boolean {
  return a.embedding === b.embedding && a.transform === b.transform && a.dimension === b.dimension;
}
