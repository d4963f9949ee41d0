/**
 * A head as a TensorFlow.js layers model, in the layout that Teachable Machine writes. Stock layers only, so `tf.loadLayersModel` needs no code of ours:
 * - x/‖x‖ is a LayerNormalization over the pairs (xᵢ, −xᵢ): their mean is 0 and their variance ‖x‖²/d; its `beta` subtracts the centre;
 * - √max(x, 0) is in no stock layer (they give quotients, and roots of sums of squares only), so where a head needs it, its input is taken after that
 *   step, and the metadata say so under `inputs`;
 * - ((x − mean) · scale, constant) is a ZeroPadding2D by one value and a BatchNormalization.
 */
import { KERNEL_POWER, type Head, type KernelPower, type Standardisation, type Support } from './head.ts';
import { factorOverAll, headParts, sameFeature, type Feature } from './head-parts.ts';

/** The version that the exports are tested with. */
export const TFJS_VERSION = '4.22.0';
/** Variance below which a vector counts as zero, far under any embedding's. */
const EPSILON = 1e-30;

type Weight = { readonly shape: readonly number[]; readonly data: Float32Array };
type Input = {
  readonly name: string;
  readonly from: 'embedding' | 'tuned';
  readonly elementwise: 'none' | 'sqrt(max(x, 0))';
  readonly dimension: number;
};

/** Layers and weights in the order in which they are made. */
class LayersBuilder {
  readonly layers: object[] = [];
  readonly weights: { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array }[] = [];
  readonly inputs: Input[] = [];

  add(kind: string, config: object, inputs: readonly string[], more: { name?: string; weights?: Record<string, Weight> } = {}): string {
    const name = more.name ?? `${kind.toLowerCase()}_${this.layers.length}`;
    const inbound = inputs.length > 0 ? [inputs.map((input) => [input, 0, 0, {}])] : [];
    this.layers.push({ class_name: kind, name, config: { name, trainable: false, ...config }, inbound_nodes: inbound });
    for (const [key, { shape, data }] of Object.entries(more.weights ?? {})) this.weights.push({ name: `${name}/${key}`, shape, data });
    return name;
  }

  /** The model input that a feature is made from, `dimension` values as they are sent. */
  input(feature: Feature, dimension = feature.dimension): string {
    const from = feature.embedding === 'base' ? 'embedding' : 'tuned';
    const root = feature.transform === 'sqrt_l2';
    const name = root ? `${from}_sqrt` : from;
    if (!this.inputs.some((input) => input.name === name)) {
      this.inputs.push({ name, from, elementwise: root ? 'sqrt(max(x, 0))' : 'none', dimension });
      this.add('InputLayer', { batch_input_shape: [null, dimension], dtype: 'float32', sparse: false }, [], { name });
    }
    return name;
  }

  /** ((x − mean) · scale, constant), [N, d] → [N, d + 1]. */
  standardise(input: string, { mean, scale, constant }: Standardisation): string {
    const d = mean.length;
    const plane = this.add('Reshape', { target_shape: [1, d, 1] }, [input]);
    const padding = [
      [0, 0],
      [0, 1],
    ];
    const longer = this.add('Flatten', {}, [this.add('ZeroPadding2D', { padding, data_format: 'channels_last' }, [plane])]);
    const vector = (values: Float32Array, last: number): Weight => {
      const data = new Float32Array(d + 1).fill(last, d);
      data.set(values);
      return { shape: [d + 1], data };
    };
    const weights = {
      gamma: vector(scale, 1),
      beta: vector(new Float32Array(d), constant),
      moving_mean: vector(mean, 0),
      moving_variance: vector(new Float32Array(d).fill(1), 1),
    };
    return this.add('BatchNormalization', { axis: -1, epsilon: EPSILON, center: true, scale: true, momentum: 0.99 }, [longer], { weights });
  }

  /** [N, …, from] → [N, …, units]; `kernel` row-major [from × units]. Zeros to start with, because random ones would be made and thrown away. */
  dense(input: string, units: number, kernel: Float32Array, bias: Float32Array | null, name?: string): string {
    const weights = { kernel: { shape: [kernel.length / units, units], data: kernel }, ...(bias ? { bias: { shape: [units], data: bias } } : {}) };
    const config = { units, activation: 'linear', use_bias: bias !== null, kernel_initializer: { class_name: 'Zeros', config: {} } };
    return this.add('Dense', config, [input], { ...(name === undefined ? {} : { name }), weights });
  }

  /** Pairs (xᵢ, −xᵢ) of a vector, side by side: [N, d] → [N, 2d]. */
  pairs(input: string, dimension: number): string {
    const column = this.add('Reshape', { target_shape: [dimension, 1] }, [input]);
    return this.add('Flatten', {}, [this.dense(column, 2, Float32Array.of(1, -1), null)]);
  }

  /** Pairs of x/‖x‖ − center. */
  unit(pairs: string, dimension: number, center: Float32Array | null): string {
    const gamma = new Float32Array(2 * dimension).fill(1 / Math.sqrt(dimension));
    const beta = Float32Array.from({ length: 2 * dimension }, (_, i) => (center?.[i >> 1] ?? 0) * (i % 2 === 0 ? -1 : 1));
    const weights = { gamma: { shape: [2 * dimension], data: gamma }, beta: { shape: [2 * dimension], data: beta } };
    return this.add('LayerNormalization', { axis: -1, epsilon: EPSILON, center: true, scale: true }, [pairs], { weights });
  }

  /** The vector that pairs were made of. */
  first(pairs: string, dimension: number): string {
    const rows = this.add('Reshape', { target_shape: [dimension, 2] }, [pairs]);
    return this.add('Flatten', {}, [this.dense(rows, 1, Float32Array.of(1, 0), null)]);
  }

  /** ((1 + x) / 2)^power of each value, squared again and again: there is no layer for powers. */
  kernel(cosines: string, power: KernelPower): string {
    let value = this.add('Rescaling', { scale: 0.5, offset: 0.5 }, [cosines]);
    for (let reached = 1; reached < power; reached *= 2) value = this.add('Multiply', {}, [value, value]);
    return value;
  }

  /** Largest value of each row, [N, 1]. */
  largest(input: string, count: number): string {
    return this.add('GlobalMaxPooling1D', {}, [this.add('Reshape', { target_shape: [count, 1] }, [input])]);
  }
}

/** Row-major [rows × columns] → [columns × rows]. */
function transposed(matrix: Float32Array, rows: number): Float32Array {
  const columns = matrix.length / rows;
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = matrix[r * columns + c]!;
  return out;
}

function build(head: Head): { layers: LayersBuilder; outputs: string[] } {
  const parts = headParts(head);
  const b = new LayersBuilder();
  const { standardisation: by } = parts;
  let standardised: string | null = null;
  const read = (feature: Feature): string =>
    by && feature.embedding === 'base' ? (standardised ??= b.standardise(b.input(feature, by.mean.length), by)) : b.input(feature);
  const made: { feature: Feature; pairs: string }[] = [];
  const pairsOf = (feature: Feature): string => {
    const found = made.find((m) => sameFeature(m.feature, feature));
    if (found) return found.pairs;
    const pairs = b.unit(b.pairs(read(feature), feature.dimension), feature.dimension, feature.center);
    made.push({ feature, pairs });
    return pairs;
  };
  const labels = head.labels.length;
  const scores = parts.linear.map(({ feature, weight, bias }) =>
    b.dense(b.first(pairsOf(feature), feature.dimension), labels, transposed(weight, labels), bias),
  );
  const { support } = parts;
  const rows = support?.labelOf.length ?? 0;
  let cosines: string | null = null;
  const coordinates = (unit: string, { basis, dimension }: Support): string => {
    const width = (basis?.length ?? 0) / dimension;
    return basis ? b.dense(unit, width, transposed(basis, width), null) : unit;
  };
  const cosinesTo = (s: Support): string =>
    (cosines ??= b.dense(coordinates(b.first(b.unit(pairsOf(s), s.dimension, null), s.dimension), s), rows, transposed(s.rows, rows), null));
  for (const { power, weight, bias } of parts.kernel)
    scores.push(b.dense(b.kernel(cosinesTo(support!), power), labels, transposed(weight, labels), bias));
  const raw = scores.length === 1 ? scores[0]! : b.add('Add', {}, scores);
  const logits = b.add('Rescaling', { scale: parts.scale, offset: 0 }, [raw], { name: 'logits' });
  const activation = head.task === 'multi_label' ? 'sigmoid' : 'softmax';
  const outputs = [b.add('Activation', { activation }, [logits], { name: 'probabilities' })];
  const rule = head.openSet;
  if (rule) {
    let evidence = b.largest(raw, labels);
    let weights = Float32Array.of(rule.bestWeight);
    let bar = rule.threshold;
    if (support && rule.varianceWeight !== 0) {
      // −w·(1 − ‖F·κ‖²): the squares add up in the last layer, the constant moves the bar.
      const { factor, side } = factorOverAll(support);
      const z = b.dense(b.kernel(cosinesTo(support), KERNEL_POWER), side, transposed(factor, side), null);
      evidence = b.add('Concatenate', { axis: -1 }, [evidence, b.add('Multiply', {}, [z, z])]);
      weights = new Float32Array(1 + side).fill(rule.varianceWeight).fill(rule.bestWeight, 0, 1);
      bar += rule.varianceWeight;
    }
    outputs.push(b.dense(evidence, 1, weights, Float32Array.of(-bar), 'margin'));
  }
  return { layers: b, outputs };
}

/** What `tf.loadLayersModel` reads, and what a caller has to know about it. */
export type LayersModel = {
  /** model.json: `weightsFile` is the name of the file with `weights` beside it. */
  readonly json: (weightsFile: string, more?: Readonly<Record<string, unknown>>) => object;
  readonly weights: Uint8Array;
  readonly inputs: readonly { readonly name: string; readonly shape: readonly [null, number]; readonly from: string; readonly elementwise: string }[];
  readonly outputs: readonly { readonly name: string; readonly shape: readonly [null, number]; readonly meaning?: string }[];
};

/** Throws RangeError when the head has no component. */
export function layersModel(head: Head): LayersModel {
  const { layers, outputs } = build(head);
  const node = (name: string): [string, number, number] => [name, 0, 0];
  const modelTopology = {
    class_name: 'Model',
    keras_version: `tfjs-layers ${TFJS_VERSION}`,
    backend: 'tensor_flow.js',
    config: {
      name: 'graft_head',
      layers: layers.layers,
      input_layers: layers.inputs.map((input) => node(input.name)),
      output_layers: outputs.map(node),
    },
  };
  const specs = layers.weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' }));
  const weights = new Float32Array(layers.weights.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { data } of layers.weights) {
    weights.set(data, at);
    at += data.length;
  }
  return {
    json: (weightsFile, more = {}) => ({
      format: 'layers-model',
      generatedBy: 'graft',
      convertedBy: null,
      modelTopology,
      weightsManifest: [{ paths: [weightsFile], weights: specs }],
      ...more,
    }),
    weights: new Uint8Array(weights.buffer),
    inputs: layers.inputs.map(({ name, from, elementwise, dimension }) => ({ name, shape: [null, dimension], from, elementwise })),
    outputs: outputs.map((name) =>
      name === 'margin' ? { name, shape: [null, 1], meaning: 'unknown when below 0' } : { name, shape: [null, head.labels.length] },
    ),
  };
}
