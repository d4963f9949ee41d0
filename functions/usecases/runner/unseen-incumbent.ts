/** The head that a candidate is compared with, solved without the examples that are held out: nobody is judged by what they were taught. */
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { IncumbentResponse } from '../../../shared/runner.ts';
import { sha256Hex } from '../../domain/digests.ts';
import type { Deps } from '../../deps.ts';
import { getJob } from '../../stores/jobs.ts';
import { LeasedInputs } from './leased-inputs.ts';
import { needLease, staleLease } from './lease-token.ts';
import { download } from './present-inputs.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'classifier'>;

export async function unseenIncumbent(
  deps: Needs,
  input: { token: string; version: number; without: readonly string[] },
): Promise<IncumbentResponse['head']> {
  const { work } = await needLease(deps, input.token);
  if (work.kind !== 'train') throw new GraftError('unprocessable', 'Only training is compared with what is served.');
  const job = await getJob(deps.db, work.tenantId, work.id);
  if (!job) throw staleLease();
  const id = LeasedInputs.parse(work.inputs).fromSource ? job.sourceClassifierId : job.classifierId;
  if (id === null) throw new GraftError('unprocessable', 'The job names no classifier to compare with.');
  const head = await deps.classifier(id).headWithout(input.version, input.without);
  if (head === null) return null;
  const key = objectKeys.incumbent(work.tenantId, work.id, work.fence, `${id}-head-unseen.safetensors`);
  await deps.objects.put(key, head);
  return await download(deps, key, { bytes: head.length, sha256: await sha256Hex(head) });
}
