/**
 * Deletes what ended work left in object storage and no row names: inputs, and files of attempts that came to nothing. Long after its end, so that no
 * signature of a host can bring anything back.
 */
import { objectKeys } from '../../../shared/object-keys.ts';
import { pages } from '../../objects/pages.ts';
import type { Deps } from '../../deps.ts';
import { frozenFenceOf, namedByJob, setTidy, untidyWork } from '../../stores/ended-work.ts';
import type { WorkRow } from '../../stores/work.ts';

type Needs = Pick<Deps, 'db' | 'objects' | 'now'>;

/** Each takes a listing, a deletion and two statements, of what an invocation may have; more go with the next sweep. */
const AT_ONCE = 5;

export async function tidyLeftovers(deps: Needs): Promise<void> {
  for (const work of await untidyWork(deps.db, deps.now(), AT_ONCE)) {
    const { prefix, isNamed } = work.kind === 'train' ? await ofJob(deps, work) : await ofDataset(deps, work);
    for await (const objects of pages(deps.objects, prefix)) {
      const left = objects.map(({ key }) => key).filter((key) => !isNamed(key));
      if (left.length > 0) await deps.objects.delete(left);
    }
    await setTidy(deps.db, work.id);
  }
}

type Leftovers = { readonly prefix: string; readonly isNamed: (key: string) => boolean };

async function ofJob(deps: Needs, { tenantId, id }: WorkRow): Promise<Leftovers> {
  const named = await namedByJob(deps.db, id);
  return { prefix: objectKeys.job(tenantId, id), isNamed: (key) => named.has(key) };
}

async function ofDataset(deps: Needs, { tenantId, id }: WorkRow): Promise<Leftovers> {
  const fence = await frozenFenceOf(deps.db, tenantId, id);
  const kept = fence === null ? null : objectKeys.frozen(tenantId, id, fence, '');
  return { prefix: objectKeys.frozenOf(tenantId, id), isNamed: (key) => kept !== null && key.startsWith(kept) };
}
