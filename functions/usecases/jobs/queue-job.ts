/** A job that was checked becomes a row, its work and its first event, all or nothing. */
import { SEED_MAX } from '../../../shared/wire/jobs.ts';
import type { Deps } from '../../deps.ts';
import { insertJob, type JobRow } from '../../stores/jobs.ts';
import { insertWorkIfChanged } from '../../stores/work.ts';
import { wakeOutbox } from '../events/record-event.ts';
import { tellMove } from './job-moves.ts';

type Asked = Pick<
  JobRow,
  | 'tenantId'
  | 'kind'
  | 'datasetId'
  | 'validationDatasetId'
  | 'targetDatasetId'
  | 'sourceClassifierId'
  | 'exclude'
  | 'classifierId'
  | 'backbone'
  | 'method'
  | 'promote'
  | 'metadata'
> & { readonly seed: number | null };

export async function queueJob(deps: Pick<Deps, 'db' | 'deliveries' | 'newId' | 'now'>, asked: Asked): Promise<JobRow> {
  const now = deps.now();
  const row: JobRow = {
    ...asked,
    id: deps.newId('job'),
    // Drawn here and recorded, never left to the engine: every job can be repeated.
    seed: asked.seed ?? (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % SEED_MAX,
    status: 'queued',
    progress: null,
    result: null,
    error: null,
    modelId: null,
    createdAt: now,
    startedAt: null,
    finishedAt: null,
  };
  await deps.db.batch([
    insertJob(deps.db, row),
    ...tellMove(deps, row, 'queued'),
    insertWorkIfChanged(deps.db, { id: row.id, kind: 'train', tenant: row.tenantId, now }),
  ]);
  await wakeOutbox(deps);
  return row;
}
