/** `/v1/training/jobs`. */
import type { Context } from 'hono';
import type { OwnerWish } from '../../domain/job-machine.ts';
import { tenantOf } from '../../http/auth.ts';
import type { HttpEnv } from '../../http/context.ts';
import { listAnswer, numbersOf, pageOf, toList, pageOfWhole } from '../../http/pages.ts';
import { newRouter } from '../../http/router.ts';
import { createAdvice } from '../../usecases/jobs/create-advice.ts';
import { createJob } from '../../usecases/jobs/create-job.ts';
import { getJob, jobEventsAfter, listCheckpoints, listJobs, lookAtJob } from '../../usecases/jobs/read-jobs.ts';
import { steerJob } from '../../usecases/jobs/steer-job.ts';
import {
  cancelJobRoute,
  createAdviceRoute,
  createJobRoute,
  getJobRoute,
  jobEventsRoute,
  listCheckpointsRoute,
  listJobsRoute,
  pauseJobRoute,
  resumeJobRoute,
} from './definition.ts';
import { STREAM_PAGE, streamJobEvents } from './event-stream.ts';

const steer = async (c: Context<HttpEnv>, id: string, wish: OwnerWish) => await steerJob(c.get('deps'), { tenant: tenantOf(c), id, wish });

export const jobsRoutes = newRouter()
  .openapi(createJobRoute, async (c) => c.json(await createJob(c.get('deps'), { tenant: tenantOf(c), request: c.req.valid('json') }), 201))
  .openapi(createAdviceRoute, async (c) => c.json(await createAdvice(c.get('deps'), { tenant: tenantOf(c), request: c.req.valid('json') }), 202))
  .openapi(listJobsRoute, async (c) => {
    const { status, ...query } = c.req.valid('query');
    const page = pageOf(query, 'job');
    const rows = await listJobs(c.get('deps'), { tenant: tenantOf(c), page, status: status ?? null });
    return c.json(
      toList(rows, page.limit, (job) => job),
      200,
    );
  })
  .openapi(getJobRoute, async (c) => c.json(await getJob(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id }), 200))
  .openapi(cancelJobRoute, async (c) => c.json(await steer(c, c.req.valid('param').id, 'cancel'), 200))
  .openapi(pauseJobRoute, async (c) => c.json(await steer(c, c.req.valid('param').id, 'pause'), 200))
  .openapi(resumeJobRoute, async (c) => {
    const { epoch, attempt } = c.req.valid('query');
    const from = epoch === undefined ? null : { epoch, attempt: attempt ?? null };
    return c.json(await steerJob(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id, wish: 'resume', from }), 200);
  })
  .openapi(jobEventsRoute, async (c) => {
    const deps = c.get('deps');
    const of = { tenant: tenantOf(c), id: c.req.valid('param').id };
    const page = numbersOf(c.req.valid('query'));
    const { accept, 'last-event-id': lastEventId } = c.req.valid('header');
    const after = Number(lastEventId ?? page.after) || 0;
    if (accept?.includes('text/event-stream')) {
      const look = async (sequence: number, limit: number) => await lookAtJob(deps, { ...of, after: sequence, limit });
      return streamJobEvents(of.id, look, await look(after, STREAM_PAGE), after);
    }
    const events = await jobEventsAfter(deps, { ...of, after, limit: page.limit });
    const data = events.slice(0, page.limit);
    return c.json(listAnswer(data, events.length > page.limit, String(data.at(-1)?.id ?? '')), 200);
  })
  .openapi(listCheckpointsRoute, async (c) => {
    const checkpoints = await listCheckpoints(c.get('deps'), { tenant: tenantOf(c), id: c.req.valid('param').id });
    return c.json(
      pageOfWhole(checkpoints, c.req.valid('query'), ({ attempt, epoch }) => `${attempt}-${epoch}`),
      200,
    );
  });
