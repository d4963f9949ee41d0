/** The cron trigger's handler. */
import type { Deps } from '../deps.ts';
import { sweep } from '../usecases/sweep/sweep.ts';

export async function runScheduled(deps: Deps): Promise<void> {
  await sweep(deps);
}
