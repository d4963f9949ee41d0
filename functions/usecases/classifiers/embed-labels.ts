/** Label names as embeddings: worth more than any head while examples are few (text only; pictures have no words to compare with). */
import type { Deps } from '../../deps.ts';
import { labelText } from '../../domain/label-text.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';

export type NamedLabel = { readonly name: string; readonly description: string | null };

/** One embedding a label, float32 [dimension]; null where the modality is not text. */
export async function embedLabels<L extends NamedLabel>(
  deps: Pick<Deps, 'encoder'>,
  on: Pick<StoredClassifier, 'modality' | 'backbone'>,
  labels: readonly L[],
): Promise<(L & { embedding: Float32Array | null })[]> {
  const { modality, backbone } = on;
  return await Promise.all(
    labels.map(async (label) => {
      if (modality !== 'text' || backbone === null) return { ...label, embedding: null };
      const text = labelText(label.name, label.description);
      const { base } = await deps.encoder.encode({ kind: 'text', text }, { backbone, model: null });
      return { ...label, embedding: base };
    }),
  );
}
