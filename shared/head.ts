/**
 * What a version's head is: a few linear components over one or two embeddings, a temperature and an open-set rule.
 * Edge, durable object, trainer and exports agree on this one shape; it travels as safetensors (see `head-file.ts`).
 *
 * score_c(x) = Σ_k mix_k · (W_k φ_k(x) + b_k)_c ;  p = softmax(score / temperature).
 */

/** How an embedding is prepared before a linear component: L2 only, or square root (ReLU outputs) then L2; then minus `center`. */
export type FeatureTransform = 'l2' | 'sqrt_l2';

export type HeadComponent = {
  /** `base`: the shared backbone's embedding; `tuned`: that of the version's own fine-tuned tail. */
  readonly embedding: 'base' | 'tuned';
  /** What made it, for reports: `ridge`, `label_names`, … */
  readonly name: string;
  readonly transform: FeatureTransform;
  readonly dimension: number;
  /** [dimension], subtracted after the transform; zeros when unused. */
  readonly center: Float32Array;
  /** Row-major [labels × dimension]. */
  readonly weight: Float32Array;
  /** [labels]. */
  readonly bias: Float32Array;
  readonly mix: number;
};

/**
 * Open-set rule: known ⇔ bestWeight · (best score) + nearestWeight · (similarity to the nearest support row) ≥ threshold.
 * `null` when the caller asked for no unknown answer.
 */
export type OpenSetRule = {
  readonly threshold: number;
  readonly falseRejectRate: number;
  readonly bestWeight: number;
  readonly nearestWeight: number;
};

/** Enrolled examples (or centroids of them when there are many) for `nearest` and the open-set rule: unit rows, centred by the background. */
export type Support = {
  readonly embedding: 'base' | 'tuned';
  readonly transform: FeatureTransform;
  readonly dimension: number;
  readonly center: Float32Array;
  /** Row-major [rows × dimension], each row of unit length after centring. */
  readonly rows: Float32Array;
  /** Index into `labels`, per row. */
  readonly labelOf: Int32Array;
};

export type Head = {
  readonly labels: readonly string[];
  readonly task: 'single_label' | 'multi_label';
  readonly components: readonly HeadComponent[];
  readonly temperature: number;
  readonly openSet: OpenSetRule | null;
  readonly support: Support | null;
};
