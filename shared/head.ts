/**
 * What a version's head is: a few components over one or two embeddings, linear in the embedding or in its similarities to the enrolled examples, a
 * temperature and an open-set rule. Edge, durable object, trainer and exports agree on this one shape; it travels as safetensors (see `head-file.ts`).
 *
 * score_c(x) = Σ_k mix_k · (W_k φ_k(x) + b_k)_c ;  p = softmax(score / temperature).
 */

/** How an embedding is prepared before a linear component: L2 only, or square root (ReLU outputs) then L2; then minus `center`. */
export type FeatureTransform = 'l2' | 'sqrt_l2';

/** Power of the polynomial kernel of the open-set rule, and of the heads that the edge solves: 3 to 6 are level, 16 forgets what is not near. */
export const KERNEL_POWER = 4;
/** Powers of two, because exports make them by squaring. */
export type KernelPower = 1 | 2 | 4 | 8 | 16;

export type HeadComponent = {
  /** `base`: the shared backbone's embedding; `tuned`: that of the version's own fine-tuned tail. */
  readonly embedding: 'base' | 'tuned';
  /** What made it, for reports: `ridge`, `label_names`, … */
  readonly name: string;
  readonly transform: FeatureTransform;
  readonly dimension: number;
  /**
   * null: φ(x) is the prepared embedding. Otherwise φ(x)_r = ((1 + cos(x, support row r)) / 2)^power, the polynomial kernel, and `transform`, `center`
   * and `dimension` are those of the support.
   */
  readonly kernel: { readonly power: KernelPower } | null;
  /** [dimension], subtracted after the transform; zeros when unused. */
  readonly center: Float32Array;
  /** Row-major [labels × dimension], or [labels × support rows] with a kernel. */
  readonly weight: Float32Array;
  /** [labels]. */
  readonly bias: Float32Array;
  readonly mix: number;
};

/**
 * Open-set rule: known ⇔ bestWeight · (best score) − varianceWeight · v(x) ≥ threshold, v(x) = 1 − ‖F·κ(x)‖² over support rows (novelty.ts).
 * `null` when the caller asked for no unknown answer.
 */
export type OpenSetRule = {
  readonly threshold: number;
  readonly falseRejectRate: number;
  readonly bestWeight: number;
  /** 0 without support. */
  readonly varianceWeight: number;
};

/** Enrolled examples (or centroids of them when there are many) for `nearest` and the open-set rule: unit rows, centred by the background. */
export type Support = {
  readonly embedding: 'base' | 'tuned';
  readonly transform: FeatureTransform;
  readonly dimension: number;
  readonly center: Float32Array;
  /**
   * Row-major [width × dimension], orthonormal: the directions that `rows` are written in, where they are many (functions/learning/basis.ts). null: they are
   * written in full.
   */
  readonly basis: Float32Array | null;
  /** Row-major [rows × width], or [rows × dimension] without a basis: of unit length after centring, and less what the basis leaves out. */
  readonly rows: Float32Array;
  /** Index into `labels`, per row; of several labels the first, −1 where the row has none. */
  readonly labelOf: Int32Array;
  /** F: row-major [m × m], lower triangular; the inverse Cholesky factor of the kernel between the first m rows (novelty.ts); all without a basis. */
  readonly factor: Float32Array;
};

/**
 * Where callers bring embeddings of their own: the base embedding is read as ((x − mean) · scale, constant), one value longer than it was sent
 * (`functions/learning/own-scale.ts`); `dimension` of the parts that read it counts that value.
 */
export type Standardisation = {
  /** [dimension as sent]. */
  readonly mean: Float32Array;
  /** [dimension as sent]. */
  readonly scale: Float32Array;
  readonly constant: number;
};

export type Head = {
  readonly labels: readonly string[];
  readonly task: 'single_label' | 'multi_label';
  readonly components: readonly HeadComponent[];
  readonly temperature: number;
  readonly openSet: OpenSetRule | null;
  readonly support: Support | null;
  /** null: embeddings are read as they come. */
  readonly standardisation: Standardisation | null;
};
