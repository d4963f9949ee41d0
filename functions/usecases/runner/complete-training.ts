/** Verifies a training completion, lets the gate decide, records both as pending, and carries them out. */
import type { ModelManifest } from '../../../shared/model-manifest.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { CompleteRequest, CompleteResponse } from '../../../shared/runner.ts';
import { decideGate } from '../../domain/gate.ts';
import { heldOutFault } from '../../domain/held-out-check.ts';
import { fitsEdge, networkOf } from '../../domain/model-network.ts';
import type { Deps } from '../../deps.ts';
import { getJob, moveJobIfChanged, type JobRow } from '../../stores/jobs.ts';
import { upsertModelIfChanged } from '../../stores/models.ts';
import { beginCompletion, findLease, renewLease, type WorkRow } from '../../stores/work.ts';
import { LEASE_TTL_SECONDS } from '../../../shared/limits.ts';
import { tellMove } from '../jobs/job-moves.ts';
import { finishPending } from './finish-pending.ts';
import { LeasedInputs } from './leased-inputs.ts';
import { staleLease } from './lease-token.ts';
import type { PendingCompletion } from './pending-completion.ts';
import { needNames, verifyFiles, verifyModel } from './verify-artifacts.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier' | 'deliveries' | 'newId' | 'now'>;
type TrainCompletion = Extract<CompleteRequest, { kind: 'train' }>;

/** Null when the lease was lost meanwhile. */
export async function completeTraining(
  deps: Needs,
  work: WorkRow,
  hash: string,
  digest: string,
  request: TrainCompletion,
): Promise<CompleteResponse | null> {
  const job = await getJob(deps.db, work.tenantId, work.id);
  if (!job) throw staleLease();
  if (job.kind !== 'training') throw new GraftError('unprocessable', 'The lease is for advice, the completion for a trained model.');
  const inputs = LeasedInputs.parse(work.inputs);
  const fault = heldOutFault(request.result.held_out);
  if (fault) throw new GraftError('unprocessable', `The result cannot be judged: ${fault}.`);
  if (inputs.labels !== null && request.result.held_out.incumbent === null)
    throw new GraftError('unprocessable', 'The result lacks the answers of the head being served, so nothing can be compared with it.');

  const keyOf = (name: string) => objectKeys.artifact(work.tenantId, work.id, work.fence, name);
  needNames(request.artifacts, ['head.safetensors', 'manifest.json', ...(job.classifierId === null ? [] : ['embeddings.safetensors'])]);
  await verifyFiles(deps, request.artifacts, keyOf);
  const task = 'task' in request.result.held_out ? 'multi_label' : 'single_label';
  const manifest = await verifyModel(deps, request.artifacts, keyOf, { ...job, task });

  const pending = judge(deps, { job, inputs, manifest }, request, keyOf);
  const files = Object.fromEntries(request.artifacts.map((artifact) => [artifact.name, keyOf(artifact.name)]));
  const now = deps.now();
  // A host whose `phase` event was lost still passes through `running`.
  await deps.db.batch([
    renewLease(deps.db, hash, now + LEASE_TTL_SECONDS * 1_000),
    moveJobIfChanged(deps.db, job.id, 'running', {}, ['validating']),
    ...tellMove(deps, job, 'running'),
  ]);
  await deps.db.batch([
    beginCompletion(deps.db, work.id, hash, pending, digest),
    upsertModelIfChanged(deps.db, {
      id: pending.model,
      tenantId: work.tenantId,
      jobId: job.id,
      classifierId: job.classifierId,
      backbone: job.backbone,
      // It names all files but itself; whoever takes what the model lists must not miss what says how to use it.
      manifest: { ...manifest, files: [...manifest.files, ...request.artifacts.filter((artifact) => artifact.name === 'manifest.json')] },
      files,
      createdAt: now,
    }),
  ]);
  const begun = await findLease(deps.db, hash);
  if (!begun || begun.pending === null) return null;
  return await finishPending(deps, begun);
}

function judge(
  deps: Needs,
  of: { job: JobRow; inputs: LeasedInputs; manifest: ModelManifest },
  request: TrainCompletion,
  keyOf: (name: string) => string,
): PendingCompletion {
  const { job, inputs, manifest } = of;
  const network = networkOf(manifest);
  const { held_out, ...rest } = request.result;
  const outcome = decideGate({
    heldOut: held_out,
    promote: job.promote,
    classifier: job.classifierId,
    // Labels of another classifier that are not asked for here are not forgotten.
    incumbentLabels: inputs.fromSource ? (inputs.labels?.filter((label) => rest.labels.includes(label)) ?? null) : inputs.labels,
    candidateLabels: rest.labels,
    networks: { candidate: network, incumbent: inputs.network },
    fitsEdge: fitsEdge(manifest),
    seed: job.seed,
  });
  const { held_out: heldOut, comparisons, ...metrics } = outcome.evaluation;
  return {
    model: deps.newId('model'),
    since: deps.now(),
    result: {
      ...rest,
      decision: outcome.decision,
      reasons: outcome.reasons,
      metrics,
      held_out: heldOut,
      comparisons,
      network,
      version: null,
      artifacts: request.artifacts,
    },
    take:
      job.classifierId === null || inputs.version === null
        ? null
        : {
            classifier: job.classifierId,
            backbone: job.backbone,
            headKey: keyOf('head.safetensors'),
            embeddingsKey: keyOf('embeddings.safetensors'),
            datasetId: job.datasetId,
            enrolledIds: request.enrolled_ids,
            comparedWith: inputs.version,
          },
  };
}
