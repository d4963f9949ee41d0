/** How a job trains: what callers may ask for, and what the engine is told. */
import { z } from 'zod';
import { MethodType } from './jobs.ts';

export const MethodOptions = z
  .strictObject({
    type: MethodType.default('auto'),
    epochs: z.number().int().min(1).max(1_000).optional(),
    learning_rate: z.number().positive().max(1).optional(),
    batch_size: z.number().int().min(1).max(4_096).optional(),
    weight_decay: z.number().min(0).max(1).optional(),
    label_smoothing: z.number().min(0).max(0.5).optional(),
    depth: z
      .enum(['head', 'last_blocks', 'full'])
      .optional()
      .meta({ description: 'How much of the backbone is trained: only heads, the tail (last blocks) or everything.' }),
    augment_views: z.number().int().min(1).max(16).optional(),
    last_blocks: z.number().int().min(1).max(16).optional().meta({
      description:
        'How many blocks of the network are trained, counted from the end; beyond the tail the whole network is shipped. Instead of `depth`.',
    }),
    layer_decay: z.number().positive().max(1).optional().meta({
      description:
        'Learning rate of each block as a share of the block above it (discriminative rates, Howard & Ruder 2018); 1: the same everywhere.',
    }),
    gradual_unfreezing: z
      .boolean()
      .optional()
      .meta({ description: 'Blocks are unfrozen one by one from the end over the first half of the epochs (Howard & Ruder 2018).' }),
    probe_epochs: z
      .number()
      .int()
      .min(0)
      .max(100)
      .optional()
      .meta({ description: 'Epochs in which only the head learns, before the network does (LP-FT, Kumar et al. 2022).' }),
    l2_sp: z
      .number()
      .min(0)
      .max(10)
      .optional()
      .meta({ description: 'Strength of the pull towards the starting weights (L2-SP, Li et al. 2018); 0: none.' }),
    mixup: z.number().min(0).max(1).optional().meta({ description: "α of mixup's Beta(α, α) (Zhang et al. 2018); 0: none. Pictures only." }),
    ema: z
      .number()
      .min(0)
      .max(0.9999)
      .optional()
      .meta({ description: 'Decay of the exponential moving average of the weights that is served; 0: the last weights.' }),
    warmup: z.number().min(0).max(0.5).optional().meta({ description: 'Share of all steps in which the rate grows from 0.' }),
    early_stopping: z
      .number()
      .int()
      .min(0)
      .max(100)
      .optional()
      .meta({ description: 'Stop after this many epochs without a smaller loss on rows set aside from the training rows; 0: never.' }),
    class_weights: z.enum(['balanced', 'none']).optional(),
    alignment: z.enum(['coral', 'mmd', 'adabn']).optional().meta({
      description:
        'domain_adaptation: which discrepancy is made small (Sun & Saenko 2016; Long et al. 2015; Li et al. 2017); pictures have adabn, texts coral where it is absent.',
    }),
    alignment_weight: z.number().min(0).max(100).optional().meta({ description: 'Weight of the alignment or domain loss at its full strength.' }),
    max_seconds: z.number().int().min(10).max(2_592_000).optional().meta({
      description: 'The job ends its training so that the result is there after about this many seconds on a host, with what is best until then.',
    }),
    seeds: z.number().int().min(1).max(10).optional().meta({ description: 'domain_confusion: how many runs, each with its own seed.' }),
    task: z.string().min(1).max(64).optional().meta({ description: 'multi_task: the task that a classifier gets; the first one when absent.' }),
    unseen_labels: z
      .array(z.string())
      .max(1_000)
      .optional()
      .meta({ description: 'zero_shot: labels that are never trained on, though the dataset has rows of them; they are what it is judged by.' }),
    mapping: z
      .enum(['eszsl', 'devise'])
      .optional()
      .meta({ description: 'zero_shot: the mapping into the label space (Romera-Paredes & Torr 2015; Frome et al. 2013).' }),
  })
  .refine((m) => m.depth === undefined || m.last_blocks === undefined, { message: 'Give "depth" or "last_blocks", not both.', path: ['last_blocks'] })
  .meta({ id: 'MethodOptions' });
export type MethodOptions = z.infer<typeof MethodOptions>;
