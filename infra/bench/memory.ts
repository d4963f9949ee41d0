/** An isolate's memory, summed: both backbones, the decoder and 50 classifiers, over pictures that are hard on it. The platform gives an isolate 128 MB. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { z } from 'zod';
import { SHIPPED_BACKBONES, type BackboneManifest } from '../../shared/catalogue.ts';
import { encodeHead } from '../../shared/head-file.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import { BACKBONES } from '../paths.ts';
import { freePorts } from '../ports.ts';
import { bundleBenchWorker } from './bare.ts';
import { hostilePictures } from './hostile.ts';
import { Inspector } from './inspector.ts';
import { LONG_TEXT, SHORT_TEXT, manifestOf, packPictures } from './inputs.ts';
import { headOf } from './scoring.ts';
import type { NotMeasured } from './serving.ts';

const CLASSIFIERS = 50;
const CLASSES = 10;
const KEPT = 100;
/** Tenants with a tail of their own, of each modality: more than an isolate keeps. */
const TAILS = 12;

const Counted = z.object({ runtime_bytes: z.number(), decoder_bytes: z.number(), rows_bytes: z.number(), heads_bytes: z.number() });
const HeapUsage = z.object({ usedSize: z.number(), embedderHeapUsedSize: z.number(), backingStorageSize: z.number() });
type Sums = z.infer<typeof Counted> & {
  /** Objects, with garbage that nobody collected yet. */
  readonly heap_bytes: number;
  /** ArrayBuffers that are not a wasm memory. */
  readonly buffer_bytes: number;
  readonly sum_bytes: number;
};
export type Memory = {
  readonly classifiers: number;
  /** Each input, what came of it, and the sum right after it: a collector that is not yet pressed leaves bodies and pixels of past requests about. */
  readonly steps: readonly { readonly input: string; readonly answer: string; readonly sums: Sums }[];
  /** After a collection: what the isolate really holds. Wasm memories never shrink, so theirs is the most they ever were. */
  readonly held: Sums;
};

/** The shipped backbones as they lie in object storage. */
export function layOutBackbones(folder: string): void {
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  for (const id of Object.values(SHIPPED_BACKBONES)) {
    const manifest = manifestOf(id);
    mkdirSync(join(folder, 'backbones', id), { recursive: true });
    copyFileSync(join(BACKBONES, id, 'manifest.json'), join(folder, objectKeys.backboneManifest(id)));
    for (const file of filesOf(manifest)) copyFileSync(join(BACKBONES, id, file.name), join(folder, objectKeys.blob(file.sha256)));
  }
}

function layOut(folder: string): void {
  layOutBackbones(folder);
  mkdirSync(join(folder, 'heads'), { recursive: true });
  for (const [kind, id] of Object.entries(SHIPPED_BACKBONES))
    writeFileSync(join(folder, 'heads', kind), encodeHead(headOf(CLASSES, KEPT, manifestOf(id).dimension)));
}

function filesOf({ trunk, tail, vocabulary }: BackboneManifest): { name: string; sha256: string }[] {
  return [trunk.model, trunk.data, tail.model, tail.data, vocabulary ?? null].filter((file) => file !== null);
}

/** @param folder for files that the Worker reads; removed by the caller */
export async function measureMemory(folder: string): Promise<Memory | NotMeasured> {
  const hostile = hostilePictures();
  if (!hostile) return { input: 'hostile pictures', not_measured: 'the Python environment could not make them' };
  layOut(join(folder, 'files'));
  const { script, wasm } = await bundleBenchWorker('memory-worker.ts', join(folder, 'worker'));
  process.env['MINIFLARE_WORKERD_V8_FLAGS'] = '--expose-gc';
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    inspectorPort: (await freePorts(1))[0]!,
    modules: [{ type: 'ESModule', path: script }, ...wasm.map((path) => ({ type: 'CompiledWasm' as const, path }))],
    modulesRoot: join(folder, 'worker'),
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat'],
    serviceBindings: { FILES: { disk: { path: join(folder, 'files'), writable: false } } },
  });
  try {
    const url = (await miniflare.ready).origin;
    delete process.env['MINIFLARE_WORKERD_V8_FLAGS'];
    const inspector = await Inspector.open(new URL('./core:user:', await miniflare.getInspectorURL()));
    const sum = async (): Promise<Sums> => {
      const counted = Counted.parse(await ask(`${url}/memory`));
      const heap = HeapUsage.parse(await inspector.call('Runtime.getHeapUsage'));
      const [heapBytes, bufferBytes] = [heap.usedSize + heap.embedderHeapUsedSize, heap.backingStorageSize];
      const all = counted.runtime_bytes + counted.decoder_bytes + counted.rows_bytes + heapBytes + bufferBytes;
      return { ...counted, heap_bytes: heapBytes, buffer_bytes: bufferBytes, sum_bytes: all };
    };
    const steps: Memory['steps'][number][] = [];
    const step = async (input: string, path: string, bodies: readonly (string | Uint8Array)[]): Promise<void> => {
      const answers = await Promise.all(bodies.map(async (body, i) => await ask(`${url}/${path.replace('#', String(i))}`, body)));
      const said = answers.map((a) => Object.entries(a as Record<string, string>)[0]!).map(([key, value]) => (key === 'label' ? 'answered' : value));
      steps.push({ input, answer: [...new Set(said)].join(', '), sums: await sum() });
    };
    const small = packPictures('bird')[0]!;
    const half = CLASSIFIERS / 2;
    await step(
      `a small picture for each of ${half} classifiers`,
      'image/image-#',
      Array.from({ length: half }, () => Uint8Array.from(small)),
    );
    await step(
      `a short text for each of ${half} classifiers`,
      'text/text-#',
      Array.from({ length: half }, () => SHORT_TEXT),
    );
    await step(
      'texts of 128 tokens, four at once',
      'text/text-#',
      Array.from({ length: 4 }, () => LONG_TEXT),
    );
    const own = async (input: string, path: string, count: number, body: string | Uint8Array): Promise<void> => {
      for (let i = 0; i < count; i++) await ask(`${url}/${path.replace('#', String(i))}`, body);
      await step(input, path, [body]);
    };
    await own(`${TAILS} tenants' own picture tails`, 'image/image-1/tail-#', TAILS, small);
    await own(`${TAILS} tenants' own text tails`, 'text/text-1/tail-#', TAILS, LONG_TEXT);
    await own('a picture network of its own', 'image/image-1/whole-#', 2, small);
    await own('a text network of its own', 'text/text-1/whole-#', 2, LONG_TEXT);
    await own(`${TAILS} tenants' own picture tails again`, 'image/image-1/tail-#', TAILS, small);
    for (const { name, bytes } of hostile) await step(name, 'image/image-#', [Uint8Array.from(bytes)]);
    const together = hostile.slice(0, 6).map(({ bytes }) => Uint8Array.from(bytes));
    await step('the first six of them at once', 'image/image-#', together);
    await step('a small picture and a text', 'image/image-#', [Uint8Array.from(small)]);
    // The runtime frees buffers beside the collector: what the first finds the next ones count off.
    for (let i = 0; i < 3; i++) await ask(`${url}/collect`);
    const held = await sum();
    return { classifiers: CLASSIFIERS, steps, held };
  } finally {
    await miniflare.dispose();
  }
}

async function ask(url: string, body?: string | Uint8Array): Promise<unknown> {
  // A connection each: one that was kept may be closed by the other side just when it is used again.
  const headers = { connection: 'close' };
  const response = await fetch(
    url,
    body === undefined ? { headers } : { headers, method: 'POST', body: typeof body === 'string' ? body : Uint8Array.from(body) },
  );
  const text = await response.text();
  if (!response.ok) throw new Error(`the isolate answered ${response.status} to ${url}: ${text.slice(0, 300)}`);
  return JSON.parse(text);
}
