/**
 * Protocol 1 between the trainer host (Node) and the engine (Python): one `EngineSpec` as JSON on stdin, one `EngineLine` of JSON a line on
 * stdout, human text on stderr. Exit codes: 0 result sent, 2 bad spec or data (do not retry), 3 stopped by SIGTERM after a checkpoint,
 * 4 out of memory (retry with a smaller batch), anything else a crash (retry). JSON Schema for the engine is generated from this file.
 */
import { z } from 'zod';
import { Advice } from './advice.ts';
import { Task } from './catalogue.ts';
import { MethodType } from './jobs.ts';
import { MethodOptions } from './method-options.ts';
import { ArtifactName, Parity } from './model-manifest.ts';
import { Inspection } from './quality.ts';

export const ENGINE_PROTOCOL = 1;

/** `dataset.safetensors` of a dataset with its label names; `tasks` names the tensors `tasks.<i>` beside `labels` (−1: no label for this task). */
const EngineDataset = z.object({
  arrays: z.string(),
  labels: z.array(z.string()),
  tasks: z.array(z.object({ name: z.string(), labels: z.array(z.string()) })).default([]),
});

export const EngineSpec = z
  .object({
    protocol: z.literal(ENGINE_PROTOCOL),
    /** `train`: a model; `advise`: what, when and how to transfer; `inspect`: the quality of a dataset. */
    action: z.enum(['train', 'advise', 'inspect']).default('train'),
    job: z.string(),
    seed: z.number().int(),
    modality: z.enum(['image', 'text']),
    /** `multi_label`: the arrays of datasets and examples have `present` U8 [n, labels] beside `labels` (dataset.ts says what they hold). */
    task: Task.default('single_label'),
    method: MethodOptions,
    /** Path of `dataset.safetensors` and its label names. */
    dataset: EngineDataset,
    /** Rows of `dataset` that are not used at all (the caller excluded them by their quality). */
    exclude_rows: z.array(z.number().int().nonnegative()).default([]),
    /** The same of `target`: labelled rows of it whose content judges elsewhere. */
    exclude_target_rows: z.array(z.number().int().nonnegative()).default([]),
    /** The same of `validation`: rows whose example was deleted since. */
    exclude_validation_rows: z.array(z.number().int().nonnegative()).default([]),
    /** Another dataset whose labelled rows are what is held out; all of `dataset` is then for training. */
    validation: EngineDataset.nullable().default(null),
    /** The target domain, unlabelled or partly labelled; its held-out rows (labelled, validation or test) are what a model is judged by when there are any. */
    target: EngineDataset.nullable().default(null),
    /** Examples enrolled in the classifier, decoded by the host like a dataset (same tensors without `split`), never held out. `labels` index into `dataset.labels` after those not in it were appended to `labels`. */
    enrolled: z.object({ arrays: z.string(), ids: z.array(z.string()), labels: z.array(z.string()) }).nullable(),
    /**
     * Examples of the classifier that is transferred from, in the same form: training rows beside the dataset's. For a method that adapts and has no
     * `target` they are the labelled source, and the dataset is the target.
     */
    source: z
      .object({ arrays: z.string(), ids: z.array(z.string()), labels: z.array(z.string()) })
      .nullable()
      .default(null),
    /** The head being served now (safetensors, head-file.ts) and, when it is a trained one, its tail graph; `trunk` when it is a whole network of its own. */
    incumbent: z.object({ head: z.string(), tail: z.string().nullable(), trunk: z.string().nullable().default(null) }).nullable(),
    /** Folder with manifest.json and the files that it names. */
    backbone: z.object({ id: z.string(), dir: z.string() }),
    /** advise: every backbone of the modality, `backbone` among them. */
    backbones: z.array(z.object({ id: z.string(), dir: z.string() })).default([]),
    /** zero_shot and label-name heads: the text backbone, and safetensors `input_ids` I32 [labels, 128], `lengths` I32 of what each label is called, in the order of `dataset.labels`. */
    label_texts: z.object({ backbone_dir: z.string(), tokens: z.string() }).nullable().default(null),
    /** `auto`: what a finished advice job said about the same data, so that nothing is measured twice. */
    advice: z.object({ job: z.string(), advice: Advice }).nullable().default(null),
    checkpoint: z.string().nullable(),
    out_dir: z.string(),
    device: z.enum(['auto', 'cpu', 'cuda']),
    /** `processes` > 1: data-parallel training (torchrun; gloo on CPUs, nccl on GPUs) with the same result as one. */
    limits: z.object({
      threads: z.number().int().min(1),
      max_seconds: z.number().positive().nullable(),
      processes: z.number().int().min(1).default(1),
      /** Trunk activations beyond this many bytes lie in a file in `out_dir` instead of memory; 1 GiB when absent. */
      cache_bytes: z.number().int().min(0).optional(),
    }),
    /** Requested false-reject rate of the open-set rule; null for none. */
    false_reject_rate: z.number().min(0).max(0.5).nullable(),
  })
  .meta({ id: 'EngineSpec' });
export type EngineSpec = z.infer<typeof EngineSpec>;

export const Progress = z
  .object({
    epoch: z.number().int().describe('Epoch of the training, counted over all its folds, seeds and comparisons; 0 before it begins.'),
    epochs: z.number().int().describe('How many there will be in all; fewer as soon as a stage of the training ends early.'),
    step: z.number().int().describe('Steps of the training so far, counted likewise; while inputs are embedded, which one.'),
    examples_per_second: z.number(),
    eta_seconds: z.number().nullable().describe('Until the job ends, at the pace of this attempt; null while that cannot be known.'),
    loss: z.number().nullable().optional().describe('Of the last step; null while nothing is trained.'),
  })
  .meta({ id: 'Progress' });
export type Progress = z.infer<typeof Progress>;

/** Truth and the answers of each contender, with one entry a held-out row. */
const heldOutOf = <Truth extends z.ZodType, Answers extends z.ZodType>(truth: Truth, answers: Answers) => ({
  split: z.enum(['validation', 'test']),
  labels: z.array(z.string()),
  rows: z.array(z.number().int()),
  truth: z.array(truth),
  candidate: answers,
  incumbent: answers.nullable(),
  /** Ridge head on the frozen base embedding, fitted on the same training rows. */
  frozen: answers,
  /** Majority class of the training rows; of several labels their most frequent set of them. */
  baseline: answers,
  /** Label names alone, through the text backbone; null where it was not asked for or cannot be. */
  zero_shot: answers.nullable().default(null),
  /** The same network from random weights; null where it was not asked for. */
  scratch: answers.nullable().default(null),
  /** The same method without its adaptation (domain_adaptation, domain_confusion); null for others. */
  source_only: answers.nullable().default(null),
});

const index = z.number().int();
/** All arrays of the same length. Predictions index `HeldOut.labels`; −1 is "not a label this one knows". */
export const HeldOut = z.object(heldOutOf(index, z.object({ prediction: z.array(index), confidence: z.array(z.number()) }))).meta({ id: 'HeldOut' });
export type HeldOut = z.infer<typeof HeldOut>;
/** Of several labels: those that a row has, those that are said to be there (probability ≥ ½), and the probability of each that is said. */
export const SeveralHeldOut = z
  .object({
    task: z.literal('multi_label'),
    ...heldOutOf(z.array(index), z.object({ prediction: z.array(z.array(index)), probability: z.array(z.array(z.number())) })),
  })
  .meta({ id: 'SeveralHeldOut' });
export type SeveralHeldOut = z.infer<typeof SeveralHeldOut>;

/** multi_task: one task beside the same task trained alone on the same rows; `interval`: 95 %, paired bootstrap on the held-out rows. */
export const TaskResult = z
  .object({
    name: z.string(),
    labels: z.array(z.string()),
    held_out_rows: z.number().int(),
    accuracy: z.number(),
    single_task_accuracy: z.number(),
    difference: z.number(),
    interval: z.object({ low: z.number(), high: z.number() }),
    /** The tasks hurt each other here beyond doubt. */
    negative_transfer: z.boolean(),
  })
  .meta({ id: 'TaskResult' });
export type TaskResult = z.infer<typeof TaskResult>;

export const EngineResult = z
  .object({
    method: z.object({ asked: MethodType, used: z.string() }),
    hyperparameters: z.record(z.string(), z.unknown()),
    /** Weight of the tuned component found by cross-fitting on training rows; 0 when the tuned part was refused. */
    tuned_mix: z.number().min(0).max(1),
    /** Cross-fitted accuracy (of several labels: share of exact matches) by mixing weight: the evidence. */
    mix_curve: z.array(z.object({ mix: z.number(), accuracy: z.number() })),
    temperature: z.number().positive(),
    labels: z.array(z.string()),
    held_out: z.union([SeveralHeldOut, HeldOut]),
    train_rows: z.number().int(),
    seconds: z.number(),
    device: z.string(),
    /** Loss at the end of each epoch. */
    losses: z.array(z.number()),
    /** Which network serves the tuned part: none of its own, a tail over the shared trunk, or a whole one. */
    network: z.enum(['base', 'tail', 'whole']).default('base'),
    /** Null where the model has no graphs of its own. */
    parity: Parity.nullable().default(null),
    /** multi_task only. */
    tasks: z.array(TaskResult).default([]),
    /** What a method wants to be known by, in its own names: validators, per-seed accuracies, domain distances, what `auto` chose and why. */
    evidence: z.record(z.string(), z.unknown()).default({}),
    notes: z.array(z.string()),
  })
  .meta({ id: 'EngineResult' });
export type EngineResult = z.infer<typeof EngineResult>;

export const Choice = z.object({
  type: z.literal('choice'),
  method: MethodType,
  because: z.string(),
  options: Advice.shape.options,
});

export const EngineLine = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('phase'), phase: z.enum(['loading', 'embedding', 'training', 'evaluating', 'exporting', 'advising', 'inspecting']) }),
    z.object({ type: z.literal('progress'), progress: Progress }),
    /** What `auto` took, why, and what it weighed. */
    Choice,
    /** For the job's event log; the host cuts what is longer than a line of it. */
    z.object({ type: z.literal('log'), level: z.enum(['info', 'warning', 'error']), message: z.string() }),
    /** A complete file in `out_dir`, renamed into place before this line. `epoch` counts over all stages of all runs of the job. */
    z.object({ type: z.literal('checkpoint'), file: z.string(), epoch: z.number().int(), sha256: z.string(), bytes: z.number().int() }),
    z.object({ type: z.literal('artifact'), name: ArtifactName, file: z.string(), sha256: z.string(), bytes: z.number().int() }),
    z.object({ type: z.literal('result'), result: EngineResult }),
    /** action `advise` ends with this instead of `result`. */
    z.object({ type: z.literal('advice'), advice: Advice }),
    /** action `inspect` ends with this instead of `result`. */
    z.object({ type: z.literal('inspection'), inspection: Inspection }),
    z.object({ type: z.literal('error'), code: z.string(), detail: z.string(), retryable: z.boolean(), blame: z.enum(['caller', 'graft']) }),
  ])
  .meta({ id: 'EngineLine' });
export type EngineLine = z.infer<typeof EngineLine>;
