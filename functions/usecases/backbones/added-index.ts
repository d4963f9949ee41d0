/** The list of added backbones in object storage, changed so that two operators at once lose nothing: each change is written only over what it read. */
import type { BackboneIndex } from '../../../shared/catalogue.ts';
import { GraftError } from '../../../shared/errors.ts';
import { objectKeys } from '../../../shared/object-keys.ts';
import type { Deps } from '../../deps.ts';
import { readIndex } from '../../inference/catalogue.ts';

const TRIES = 8;
type Entry = BackboneIndex['backbones'][number];

export async function findAdded(deps: Pick<Deps, 'objects'>, id: string): Promise<Entry | null> {
  const { backbones } = readIndex(await deps.objects.get(objectKeys.backboneIndex));
  return backbones.find((entry) => entry.id === id) ?? null;
}

/** Puts the entry in the place of its id's. `allow` sees the entry that is there and throws when it may not be replaced. */
export async function setAdded(deps: Pick<Deps, 'objects'>, entry: Entry, allow: (there: Entry | null) => void): Promise<void> {
  const key = objectKeys.backboneIndex;
  for (let i = 0; i < TRIES; i++) {
    // The ETag first: when somebody writes between the two reads, it is the older one and the write below is refused.
    const head = await deps.objects.head(key);
    const { format, backbones } = readIndex(head ? await deps.objects.get(key) : null);
    const at = backbones.findIndex(({ id }) => id === entry.id);
    allow(backbones[at] ?? null);
    const next = at < 0 ? [...backbones, entry] : backbones.with(at, entry);
    const bytes = new TextEncoder().encode(JSON.stringify({ format, backbones: next } satisfies BackboneIndex));
    const condition = head ? { ifMatch: head.etag } : { ifNoneMatch: '*' as const };
    if (await deps.objects.put(key, bytes, { contentType: 'application/json', ...condition })) return;
  }
  throw new GraftError('unavailable', 'The list of backbones is being changed by others at this moment. Try again.');
}
