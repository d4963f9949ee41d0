import { createRoute, z } from '@hono/zod-openapi';
import { JobStatus } from '../../../shared/jobs.ts';
import { AdviceJob, AnyJob, Checkpoint, CreateAdviceRequest, CreateJobRequest, Job, JobEvent, ResumeQuery } from '../../../shared/wire/jobs.ts';
import { requireScope } from '../../http/auth.ts';
import { idempotent } from '../../http/idempotency.ts';
import { listOf, PageQuery, WholeQuery } from '../../http/pages.ts';
import { problemResponses } from '../../http/problems.ts';
import { creationProblems, jsonAnswer, jsonInput } from '../../http/route-parts.ts';

const tags = ['Training'];
const params = z.object({ id: z.string() });
const JobList = listOf(AnyJob, 'TrainingJobList');
const JobEventList = listOf(JobEvent, 'TrainingJobEventList');
const CheckpointList = listOf(Checkpoint, 'TrainingJobCheckpointList');

export const createJobRoute = createRoute({
  method: 'post',
  path: '/v1/training/jobs',
  operationId: 'createTrainingJob',
  tags,
  summary: 'Queue a training job',
  middleware: [requireScope('train'), idempotent()],
  request: { body: jsonInput(CreateJobRequest) },
  responses: {
    201: jsonAnswer(Job, 'The job.'),
    ...creationProblems('not_found', 'dataset_not_ready', 'unknown_backbone', 'unprocessable'),
  },
});

export const createAdviceRoute = createRoute({
  method: 'post',
  path: '/v1/advice',
  operationId: 'createAdvice',
  tags,
  summary: 'Ask what, when and how to transfer: a job that measures and trains nothing',
  middleware: [requireScope('train'), idempotent()],
  request: { body: jsonInput(CreateAdviceRequest) },
  responses: {
    202: jsonAnswer(AdviceJob, 'The job; read and steer it under /v1/training/jobs/{id}.'),
    ...creationProblems('not_found', 'dataset_not_ready', 'unknown_backbone', 'unprocessable'),
  },
});

export const listJobsRoute = createRoute({
  method: 'get',
  path: '/v1/training/jobs',
  operationId: 'listTrainingJobs',
  tags,
  summary: 'List training jobs',
  middleware: [requireScope('train')],
  request: { query: PageQuery.extend({ status: JobStatus.optional() }) },
  responses: { 200: jsonAnswer(JobList, 'One page, newest first.'), ...problemResponses() },
});

export const getJobRoute = createRoute({
  method: 'get',
  path: '/v1/training/jobs/{id}',
  operationId: 'getTrainingJob',
  tags,
  summary: 'Read a training job: progress, result, decision and reasons',
  middleware: [requireScope('train')],
  request: { params },
  responses: { 200: jsonAnswer(AnyJob, 'The job.'), ...problemResponses('not_found') },
});

const steering = { tags, middleware: [requireScope('train')], request: { params } };
const steered = { 200: jsonAnswer(AnyJob, 'The job.'), ...problemResponses('not_found', 'conflict') };

export const cancelJobRoute = createRoute({
  ...steering,
  method: 'post',
  path: '/v1/training/jobs/{id}/cancel',
  operationId: 'cancelTrainingJob',
  summary: 'Cancel a job at once',
  responses: steered,
});

export const pauseJobRoute = createRoute({
  ...steering,
  method: 'post',
  path: '/v1/training/jobs/{id}/pause',
  operationId: 'pauseTrainingJob',
  summary: 'Pause a job; a running one at its next checkpoint',
  responses: steered,
});

export const resumeJobRoute = createRoute({
  ...steering,
  method: 'post',
  path: '/v1/training/jobs/{id}/resume',
  operationId: 'resumeTrainingJob',
  summary: 'Queue a paused job again; it goes on from its last checkpoint, or from the one that is named',
  request: { params, query: ResumeQuery },
  responses: { ...steered, ...problemResponses('not_found', 'conflict', 'unprocessable') },
});

export const jobEventsRoute = createRoute({
  method: 'get',
  path: '/v1/training/jobs/{id}/events',
  operationId: 'listTrainingJobEvents',
  tags,
  summary: 'The log of a job, as a list or (Accept: text/event-stream) as a stream that goes on until the job is over',
  description:
    'A stream says what is new within about a second while a host has the job, and within five while it is queued or paused. It ends after some minutes; connect again with `Last-Event-ID`, as an EventSource does, and nothing is missed.',
  middleware: [requireScope('train')],
  request: {
    params,
    query: PageQuery,
    headers: z.object({
      accept: z.string().optional(),
      'last-event-id': z.string().optional().meta({ description: 'Go on after this event.' }),
    }),
  },
  responses: {
    200: {
      description: 'Events in order, oldest first.',
      content: { 'application/json': { schema: JobEventList }, 'text/event-stream': { schema: z.string() } },
    },
    204: { description: 'Of a stream: the job is over, and `Last-Event-ID` names the last event of its log. An EventSource ends here.' },
    ...problemResponses('not_found'),
  },
});

export const listCheckpointsRoute = createRoute({
  method: 'get',
  path: '/v1/training/jobs/{id}/checkpoints',
  operationId: 'listTrainingJobCheckpoints',
  tags,
  summary: 'List the checkpoints of a job, the one that it would go on from first',
  middleware: [requireScope('train')],
  request: { params, query: WholeQuery },
  responses: { 200: jsonAnswer(CheckpointList, 'All that are kept: newest first, but for one that was chosen.'), ...problemResponses('not_found') },
});
