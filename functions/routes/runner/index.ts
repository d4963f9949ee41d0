/** `/runner/v1`: trainer hosts, with a token of their own and not in the public document. Bodies are those of shared/runner.ts. */
import { Hono, type Context, type MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import { GraftError } from '../../../shared/errors.ts';
import {
  ArtifactsRequest,
  CheckpointRequest,
  CompleteRequest,
  EventsRequest,
  FailRequest,
  HeartbeatRequest,
  IncumbentRequest,
  JoinRequest,
  PartRequest,
} from '../../../shared/runner.ts';
import { LeaseRequest, ReleaseRequest } from '../../../shared/runner.ts';
import { secretsEqual } from '../../domain/digests.ts';
import type { HttpEnv } from '../../http/context.ts';
import { invalidRequest } from '../../http/problems.ts';
import { completeWork } from '../../usecases/runner/complete-work.ts';
import { joinFile, presignPart } from '../../usecases/runner/host-files.ts';
import { leaseWork } from '../../usecases/runner/lease-work.ts';
import { unseenIncumbent } from '../../usecases/runner/unseen-incumbent.ts';
import { failWork, heartbeat, presignArtifacts, releaseWork, saveCheckpoint, takeHostEvents } from '../../usecases/runner/serve-lease.ts';

const requireRunner: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const secret = /^Bearer +(\S{1,200})$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (secret === undefined || !(await secretsEqual(secret, c.get('deps').settings.runnerToken)))
    throw new GraftError('unauthorized', "The trainer hosts' token is missing or wrong.");
  await next();
};

async function read<Schema extends z.ZodType>(c: Context<HttpEnv>, schema: Schema): Promise<z.infer<Schema>> {
  let body: unknown;
  try {
    body = await c.req.json();
  } catch (error) {
    throw new GraftError('malformed_json', 'The body is not valid JSON.', { cause: error });
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalidRequest(parsed.error, 'json');
  return parsed.data;
}

const lease = '/runner/v1/leases/:token' as const;

export const runnerRoutes = new Hono<HttpEnv>()
  .use('/runner/v1/*', requireRunner)
  .post('/runner/v1/lease', async (c) => {
    const leased = await leaseWork(c.get('deps'), { request: await read(c, LeaseRequest), signal: c.req.raw.signal });
    return leased ? c.json(leased) : c.body(null, 204);
  })
  .post(`${lease}/heartbeat`, async (c) => {
    const { progress } = await read(c, HeartbeatRequest);
    return c.json(await heartbeat(c.get('deps'), { token: c.req.param('token'), progress: progress ?? null }));
  })
  .post(`${lease}/events`, async (c) => {
    await takeHostEvents(c.get('deps'), { token: c.req.param('token'), ...(await read(c, EventsRequest)) });
    return c.body(null, 204);
  })
  .post(`${lease}/incumbent`, async (c) => {
    const { version, without } = await read(c, IncumbentRequest);
    return c.json({ head: await unseenIncumbent(c.get('deps'), { token: c.req.param('token'), version, without }) });
  })
  .post(`${lease}/artifacts`, async (c) => {
    const { files } = await read(c, ArtifactsRequest);
    return c.json(await presignArtifacts(c.get('deps'), { token: c.req.param('token'), files }));
  })
  .post(`${lease}/part`, async (c) => {
    const part = await read(c, PartRequest);
    return c.json({ upload: await presignPart(c.get('deps'), { token: c.req.param('token'), part }) });
  })
  .post(`${lease}/join`, async (c) => {
    const file = await read(c, JoinRequest);
    await joinFile(c.get('deps'), { token: c.req.param('token'), file });
    return c.body(null, 204);
  })
  .post(`${lease}/checkpoint`, async (c) => {
    const request = await read(c, CheckpointRequest);
    return c.json(await saveCheckpoint(c.get('deps'), { token: c.req.param('token'), ...request }));
  })
  .post(`${lease}/complete`, async (c) => {
    const request = await read(c, CompleteRequest);
    return c.json(await completeWork(c.get('deps'), { token: c.req.param('token'), request }));
  })
  .post(`${lease}/fail`, async (c) => {
    await failWork(c.get('deps'), { token: c.req.param('token'), ...(await read(c, FailRequest)) });
    return c.body(null, 204);
  })
  .post(`${lease}/release`, async (c) => {
    await read(c, ReleaseRequest);
    await releaseWork(c.get('deps'), { token: c.req.param('token') });
    return c.body(null, 204);
  });
