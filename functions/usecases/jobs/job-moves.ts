/** What goes with every move of a job: a line in its log and, for moves that callers may subscribe to, an event. Statements for one `db.batch`. */
import type { BatchItem } from 'drizzle-orm/batch';
import type { JobStatus } from '../../../shared/jobs.ts';
import { eventOf } from '../../domain/job-machine.ts';
import type { Deps } from '../../deps.ts';
import { appendJobEventIfChanged, type JobRow } from '../../stores/jobs.ts';
import { eventStatementIfChanged } from '../events/record-event.ts';

export type Statement = BatchItem<'sqlite'>;
export type Told = {
  readonly reason?: string;
  readonly decision?: string;
  readonly model?: string | null;
  readonly choice?: unknown;
  readonly error?: unknown;
};

/** What an event says of a job: enough to act on, small enough for a webhook; the whole job is one GET away. */
export function jobSummary(job: JobRow, status: JobStatus, told: Told = {}): Record<string, unknown> {
  return {
    object: 'training.job',
    kind: job.kind,
    id: job.id,
    status,
    dataset: job.datasetId,
    classifier: job.classifierId,
    model: told.model ?? job.modelId,
    decision: told.decision ?? null,
    choice: told.choice ?? null,
    error: told.error ?? null,
    metadata: job.metadata,
  };
}

/** Goes directly after the statement that moves the job: all of these do nothing when it changed no row. */
export function tellMove(deps: Pick<Deps, 'db' | 'newId' | 'now'>, job: JobRow, to: JobStatus, told: Told = {}): Statement[] {
  const data = { status: to, ...told };
  const statements: Statement[] = [appendJobEventIfChanged(deps.db, { job: job.id, type: 'status', data, now: deps.now() })];
  const type = eventOf(to);
  if (type) statements.push(eventStatementIfChanged(deps, { tenant: job.tenantId, type, data: jobSummary(job, to, told) }));
  return statements;
}
