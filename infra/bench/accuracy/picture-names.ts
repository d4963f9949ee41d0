/** Labels of picture sets as the edge hears their names: rows over the classes that the network was published with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zeroShotRows, type NamedClasses } from '../../../functions/learning/zero-shot.ts';
import { decodeSafetensors, takeTensor } from '../../../shared/safetensors.ts';
import { backboneFolder, embedTexts, publishedDimension, type EmbeddedSet } from './embeddings.ts';

export function namedClasses(): NamedClasses {
  const file = decodeSafetensors(new Uint8Array(readFileSync(join(backboneFolder('image'), 'classes.safetensors'))));
  const weight = takeTensor(file, 'weight', 'F32', 2);
  const names = takeTensor(file, 'names', 'F32', 2);
  const d = names.shape[1]!;
  return {
    weight: weight.data,
    dimension: weight.shape[1]!,
    names: Array.from({ length: names.shape[0]! }, (_, i) => names.data.subarray(i * d, (i + 1) * d)),
  };
}

/** What the text network says of each label's name, as it was published. */
export const nameWords = (set: EmbeddedSet): Float32Array[] =>
  embedTexts(`label names of ${set.name}`, set.names).map((text) => text.subarray(0, publishedDimension('text')));

/** The set with its labels' names, which `embedSet` gives texts only. */
export const withPictureNames = (set: EmbeddedSet): EmbeddedSet => ({ ...set, nameRows: zeroShotRows(namedClasses(), nameWords(set)) });
