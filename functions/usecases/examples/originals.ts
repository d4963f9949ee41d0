/** The originals of enrolled examples in object storage, and their share of `stored_bytes`. */
import type { Deps } from '../../deps.ts';
import { addUsage } from '../../stores/usage.ts';

/** Workers allow six open connections; one is left for others. */
const AT_ONCE = 5;
/** What was deleted is off the account though the rest could not be: one write for so many. */
const COUNTED_AT_ONCE = 50;

export type Original = { readonly key: string; readonly bytes: Uint8Array; readonly contentType: string };

/** Runs `work` on all, a few at a time. The first failure ends it. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (let i = 0; i < items.length; i += AT_ONCE) out.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map(work))));
  return out;
}

/** Stores all or none. */
export async function keepOriginals(deps: Pick<Deps, 'objects'>, originals: readonly Original[]): Promise<void> {
  try {
    await inTurns(originals, async (o) => await deps.objects.put(o.key, o.bytes, { contentType: o.contentType }));
  } catch (error) {
    const keys = originals.map((o) => o.key);
    await deps.objects
      .delete(keys)
      .catch((again: unknown) => console.warn(JSON.stringify({ message: 'originals were left', keys, error: String(again) })));
    throw error;
  }
}

/** Deletes originals and takes their bytes off the tenant's account. Missing ones are no error. */
export async function forgetOriginals(deps: Pick<Deps, 'objects' | 'db' | 'now'>, tenant: string, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += COUNTED_AT_ONCE) {
    const some = keys.slice(at, at + COUNTED_AT_ONCE);
    const sizes = await inTurns(some, async (key) => (await deps.objects.head(key))?.bytes ?? 0);
    await deps.objects.delete(some);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (bytes > 0) await addUsage(deps.db, tenant, 'stored_bytes', -bytes, deps.now());
  }
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
