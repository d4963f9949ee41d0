/** The host's environment, parsed once: a missing setting is named. */
import { z } from 'zod';

export const HostSettings = z.object({
  GRAFT_URL: z.url(),
  GRAFT_RUNNER_TOKEN: z.string().min(16),
  /** Python with the engine's requirements. */
  GRAFT_PYTHON: z.string().min(1),
  GRAFT_WORK_DIR: z.string().min(1),
  GRAFT_THREADS: z.coerce.number().int().min(1).default(2),
  /** Processes of one training job: on a machine with several GPUs, one for each. */
  GRAFT_PROCESSES: z.coerce.number().int().min(1).max(64).default(1),
  /** Memory for activations of the frozen part of a network; what is beyond it goes to GRAFT_WORK_DIR. */
  GRAFT_CACHE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(1024 ** 3),
  GRAFT_DEVICE: z.enum(['auto', 'cpu', 'cuda']).default('auto'),
  /** Where the provider says that this machine is about to be taken back: a file that appears, a URL of its metadata service, or both. */
  GRAFT_PREEMPTION_FILE: z.string().min(1).optional(),
  GRAFT_PREEMPTION_URL: z.url().optional(),
  GRAFT_HOST_NAME: z.string().min(1).default('host'),
});
export type HostSettings = z.infer<typeof HostSettings>;
