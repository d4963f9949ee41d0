/** Examples of a classifier as training rows: originals from object storage through the decoder and tokeniser that the edge has. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BackboneManifest, Task } from '../../shared/catalogue.ts';
import { UNLABELLED } from '../../shared/dataset.ts';
import type { EngineSpec } from '../../shared/engine.ts';
import type { WorkExample } from '../../shared/runner.ts';
import { ArrayWriter } from './array-writer.ts';
import { loadDecoder, loadTokenizer } from './inputs.ts';
import { download, isGone } from './transfer.ts';

type Inputs = {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly task: Task;
  readonly backbone: BackboneManifest;
  readonly backboneDir: string;
};

/** What is held out in a dataset is not learnt from, or the proof would be worth nothing. */
export function withoutHeld(examples: readonly WorkExample[], held: ReadonlySet<string>): WorkExample[] {
  return examples.filter((example) => !held.has(example.sha256));
}

/** `<name>.safetensors` with the examples that are still there; null when none is. */
export async function encodeExamples(c: Inputs, name: 'enrolled' | 'source', examples: readonly WorkExample[]): Promise<EngineSpec['enrolled']> {
  if (examples.length === 0) return null;
  const image = c.backbone.modality === 'image';
  const decoder = image ? await loadDecoder() : null;
  const tokenizer = image ? null : await loadTokenizer(path.join(c.backboneDir, c.backbone.vocabulary?.name ?? 'vocab.txt'));
  const writer = await ArrayWriter.create(c.backbone.modality, path.join(c.folder, `${name}.scratch`));
  const there: WorkExample[] = [];
  const file = path.join(c.folder, 'original');
  try {
    for (const example of examples) {
      try {
        await download(example.download, file, c.signal);
      } catch (error) {
        if (isGone(error)) continue; // deleted since the lease was made
        throw error;
      }
      const bytes = new Uint8Array(await readFile(file));
      if (decoder) await writer.add({ kind: 'image', pixels: decoder.decodeSquare(bytes).pixels });
      else if (tokenizer) await writer.add({ kind: 'text', ids: tokenizer(new TextDecoder().decode(bytes)) });
      there.push(example);
    }
  } catch (error) {
    await writer.discard();
    throw error;
  }
  if (there.length === 0) {
    await writer.discard();
    return null;
  }
  const arrays = path.join(c.folder, `${name}.safetensors`);
  const said = there.map(({ label, labels }) => labels ?? (label === null ? [] : [label]));
  const labels = [...new Set(said.flat())].toSorted();
  const places = said.map((of) => of.map((label) => labels.indexOf(label)));
  await writer.finish(
    arrays,
    c.task === 'multi_label'
      ? { labels: new Int32Array(there.length), present: { labels: labels.length, rows: places } }
      : { labels: Int32Array.from(places, ([only]) => only ?? UNLABELLED) },
  );
  return { arrays, ids: there.map(({ id }) => id), labels };
}
