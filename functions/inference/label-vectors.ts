/** Labels as vectors: the words' own embeddings, averaged, where texts are classified, a row of a zero-shot head where pictures are. */
import { SHIPPED_BACKBONES, type BackboneManifest } from '../../shared/catalogue.ts';
import { GraftError } from '../../shared/errors.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { decodeSafetensors, takeTensor } from '../../shared/safetensors.ts';
import { labelWordings } from '../domain/label-text.ts';
import { backgroundCenter } from '../learning/features.ts';
import { inPlainStyle, meanWording } from '../learning/label-names.ts';
import { zeroShotRows, type NamedClasses } from '../learning/zero-shot.ts';
import { Breather } from './breather.ts';
import type { Catalogue } from './catalogue.ts';
import type { Encoder } from './encoder.ts';
import type { Read } from './graph.ts';

export interface LabelVectors {
  /**
   * One float32 vector a text, as long as an embedding of the backbone; null where labels cannot be compared with inputs (vectors; pictures on a
   * backbone without named classes, or without the text backbone that reads the labels).
   */
  of(texts: readonly string[], backbone: string | null): Promise<(Float32Array | null)[]>;
}

function rowsOf({ shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array }): Float32Array[] {
  const d = shape[1] ?? 0;
  return Array.from({ length: shape[0] ?? 0 }, (_, i) => data.subarray(i * d, (i + 1) * d));
}

export function makeLabelVectors(parts: { catalogue: Catalogue; read: Read; encoder: Encoder }): LabelVectors {
  const { catalogue, read, encoder } = parts;
  const none = (texts: readonly string[]): null[] => texts.map(() => null);

  async function embed(texts: readonly string[], backbone: string): Promise<Float32Array[]> {
    const breather = new Breather();
    const vectors: Float32Array[] = [];
    for (const text of texts) {
      vectors.push((await encoder.encode({ kind: 'text', text }, { backbone, model: null })).base);
      await breather.breathe();
    }
    return vectors;
  }

  /** The mean of the unit background rows. Read for each call, as the classes are. */
  async function usualText(manifest: BackboneManifest): Promise<Float32Array> {
    const bytes = await read(objectKeys.blob(manifest.background.sha256));
    if (!bytes) throw new GraftError('unavailable', 'The background of a backbone is not in the object storage. Publish the backbones again.');
    return backgroundCenter(rowsOf(takeTensor(decodeSafetensors(bytes), 'embeddings', 'F32', 2)), 'l2', manifest.dimension);
  }

  /** Read for each call: six megabytes that an isolate with both networks should not hold between two changes of labels. */
  async function classesOf(sha256: string): Promise<NamedClasses | null> {
    const bytes = await read(objectKeys.blob(sha256));
    if (!bytes) return null;
    const file = decodeSafetensors(bytes);
    const weight = takeTensor(file, 'weight', 'F32', 2);
    const names = takeTensor(file, 'names', 'F32', 2);
    return { weight: weight.data, dimension: weight.shape[1] ?? 0, names: rowsOf(names) };
  }

  return {
    async of(texts, backbone) {
      const manifest = backbone === null || texts.length === 0 ? null : await catalogue.get(backbone);
      if (manifest?.modality === 'text') {
        const wordings = texts.map(labelWordings);
        const vectors = await embed(wordings.flat(), manifest.id);
        let at = 0;
        const labels = wordings.map((of) => meanWording(vectors.slice(at, (at += of.length))));
        const own = manifest.own_dimension;
        if (own === undefined) return labels;
        const usual = await usualText(manifest);
        return labels.map((label) => inPlainStyle(label, own, usual));
      }
      const reader = manifest?.classes ? await catalogue.get(SHIPPED_BACKBONES.text) : null;
      if (!manifest?.classes || !reader) return none(texts);
      const classes = await classesOf(manifest.classes.sha256);
      if (!classes) return none(texts);
      const words = await embed(texts, reader.id);
      return zeroShotRows(
        classes,
        words.map((text) => text.subarray(0, reader.own_dimension)),
      );
    },
  };
}
