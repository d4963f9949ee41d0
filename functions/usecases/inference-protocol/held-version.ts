/** The head of the active version, or of another one that was asked for by its number. */
import { decodeHead } from '../../../shared/head-file.ts';
import type { Deps } from '../../deps.ts';
import { headless } from '../../domain/missing.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { servedHead, type FilledHead } from '../predict/predict.ts';

/** Throws `not_found` for a version that there is not, `nothing_to_predict` for one without a head. */
export async function heldVersion(
  deps: Pick<Deps, 'classifier' | 'heads'>,
  id: string,
  n: number | undefined,
): Promise<FilledHead & { readonly active: boolean }> {
  if (n === undefined) return { ...(await servedHead(deps, id, 0)), active: true };
  const now = await deps.heads.get(id, 0);
  if (now.version === n && now.head) return { ...now, head: now.head, active: true };
  // Only the active version stays in this isolate: the others are read for each call.
  const { version, model, head } = unwrap(await deps.classifier(id).headOf(n));
  if (!head) throw headless(n);
  return { version, model, head: decodeHead(head), active: false };
}
