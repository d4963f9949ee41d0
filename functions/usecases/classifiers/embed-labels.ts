/** Label names as vectors: worth more than any head while examples are few, and the only answer while there are none. */
import type { Deps } from '../../deps.ts';
import { labelText } from '../../domain/label-text.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';

export type NamedLabel = { readonly name: string; readonly description: string | null };

/** One vector a label, float32 [dimension]; null where a label's words cannot be compared with inputs. */
export async function embedLabels<L extends NamedLabel>(
  deps: Pick<Deps, 'labelVectors'>,
  on: Pick<StoredClassifier, 'backbone'>,
  labels: readonly L[],
): Promise<(L & { embedding: Float32Array | null })[]> {
  const texts = labels.map((label) => labelText(label.name, label.description));
  const vectors = await deps.labelVectors.of(texts, on.backbone);
  return labels.map((label, i) => ({ ...label, embedding: vectors[i] ?? null }));
}
