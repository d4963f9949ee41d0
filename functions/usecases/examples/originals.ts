/** The originals of enrolled examples in object storage, and their share of `stored_bytes`. */
import type { Deps } from '../../deps.ts';
import { pages } from '../../objects/pages.ts';
import { inTurns } from '../../domain/in-turns.ts';
import { addUsage } from '../../stores/usage.ts';
import { forTheLog } from '../../domain/for-the-log.ts';

/** What was deleted is off the account though the rest could not be: one write for so many. */
const COUNTED_AT_ONCE = 50;
/** Of more originals than this the sizes are read from listings, a thousand at a time: a request of a Worker may make a limited number of others. */
const SIZED_ALONE_MAX = 200;

export type Original = { readonly key: string; readonly bytes: Uint8Array; readonly contentType: string };

/** Stores all or none. */
export async function keepOriginals(deps: Pick<Deps, 'objects'>, originals: readonly Original[]): Promise<void> {
  try {
    await inTurns(originals, async (o) => await deps.objects.put(o.key, o.bytes, { contentType: o.contentType }));
  } catch (error) {
    const keys = originals.map((o) => o.key);
    await deps.objects
      .delete(keys)
      .catch((again: unknown) => console.warn(JSON.stringify({ message: 'originals were left', keys, error: forTheLog(again) })));
    throw error;
  }
}

/** Deletes originals and takes their bytes off the tenant's account. Missing ones are no error. */
export async function forgetOriginals(deps: Pick<Deps, 'objects' | 'db' | 'now'>, tenant: string, keys: readonly string[]): Promise<void> {
  const sized = keys.length > SIZED_ALONE_MAX ? listedSizes(deps, keys) : askedSizes(deps, keys);
  for await (const some of sized) {
    await deps.objects.delete(some.map(({ key }) => key));
    const bytes = some.reduce((sum, one) => sum + one.bytes, 0);
    if (bytes > 0) await addUsage(deps.db, tenant, 'stored_bytes', -bytes, deps.now());
  }
}

type Sized = { readonly key: string; readonly bytes: number };

async function* askedSizes(deps: Pick<Deps, 'objects'>, keys: readonly string[]): AsyncGenerator<Sized[]> {
  for (let at = 0; at < keys.length; at += COUNTED_AT_ONCE)
    yield await inTurns(keys.slice(at, at + COUNTED_AT_ONCE), async (key) => ({ key, bytes: (await deps.objects.head(key))?.bytes ?? 0 }));
}

/** Only what is still there: a deletion that is repeated goes on where it was cut off instead of asking for everything again. */
async function* listedSizes(deps: Pick<Deps, 'objects'>, keys: readonly string[]): AsyncGenerator<Sized[]> {
  const wanted = new Set(keys);
  for await (const objects of pages(deps.objects, commonFolder(keys))) {
    const some = objects.filter(({ key }) => wanted.has(key));
    if (some.length > 0) yield some;
  }
}

/** The folder that all of them are under, with its slash. */
function commonFolder(keys: readonly string[]): string {
  const first = keys[0] ?? '';
  let length = first.length;
  for (const key of keys) while (!key.startsWith(first.slice(0, length))) length--;
  return first.slice(0, first.lastIndexOf('/', length - 1) + 1);
}

/**
 * Removes what has originals, and these first: should the storage not answer, a repetition finds all of it to do.
 * @param before the originals that are known of; `remove` answers those that there were at the last moment, and what came in between follows
 */
export async function removeWithOriginals<Removed extends { readonly objectKeys: readonly string[] }>(
  deps: Pick<Deps, 'objects' | 'db' | 'now'>,
  tenant: string,
  before: readonly string[],
  remove: () => Promise<Removed>,
): Promise<Removed> {
  await forgetOriginals(deps, tenant, before);
  const removed = await remove();
  const known = new Set(before);
  await forgetOriginals(
    deps,
    tenant,
    removed.objectKeys.filter((key) => !known.has(key)),
  );
  return removed;
}
