/** The files of one episode as a host hands them to the engine, and the specs of its jobs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { EngineSpec } from '../../../shared/engine.ts';
import type { MethodOptions } from '../../../shared/method-options.ts';
import { encodeHead } from '../../../shared/head-file.ts';
import type { Head } from '../../../shared/head.ts';
import { encodeSafetensors, tensor, type Tensor } from '../../../shared/safetensors.ts';
import { backboneFolder } from '../accuracy/embeddings.ts';
import type { Domain } from './domains.ts';
import type { Episode } from './episode.ts';

const TRAIN = 0;
const TEST = 2;
type Part = { readonly rows: readonly number[]; readonly y: readonly number[] | null; readonly split: number };

export type CellFiles = {
  readonly folder: string;
  /** The first `heldOutGate` held-out rows are the gate's, in the order of the file. */
  readonly train: (name: string, method: MethodOptions) => EngineSpec;
  /** Advice sees the labelled source rows and the unlabelled target rows, and no row that is judged by. */
  readonly advise: () => EngineSpec;
};

function arraysOf(domain: Domain, parts: readonly Part[]): Record<string, Tensor> {
  const labels = parts.flatMap(({ rows, y }) => y ?? rows.map(() => -1));
  const split = parts.flatMap(({ rows, split: of }) => rows.map(() => of));
  return {
    ...domain.tensorsOf(parts.flatMap(({ rows }) => rows)),
    labels: tensor('I32', [labels.length], Int32Array.from(labels)),
    split: tensor('U8', [split.length], Uint8Array.from(split)),
  };
}

export function writeCell(folder: string, source: Domain, target: Domain | null, episode: Episode, incumbent: Head, seed: number): CellFiles {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, domain: Domain, parts: readonly Part[]): string => {
    const file = join(folder, `${name}.safetensors`);
    writeFileSync(file, encodeSafetensors(arraysOf(domain, parts)));
    return file;
  };
  const head = join(folder, 'incumbent.safetensors');
  writeFileSync(head, encodeHead(incumbent));
  const labelled: Part = { ...episode.train, split: TRAIN };
  const free: Part = { rows: episode.unlabelled, y: null, split: TRAIN };
  const judged: Part[] = [episode.gate, episode.test].map((part) => ({ ...part, split: TEST }));
  const ours = write('source', source, target ? [labelled] : [labelled, ...judged]);
  const theirs = target && write('target', target, [free, ...judged]);
  const alone = target && write('unlabelled', target, [free]);
  const { modality } = source.set;
  const labels = [...episode.labels];
  const heldOut = episode.gate.rows.length + episode.test.rows.length;
  const spec = (name: string, more: Record<string, unknown>): EngineSpec => {
    const out = join(folder, name);
    mkdirSync(out, { recursive: true });
    return EngineSpec.parse({
      protocol: 1,
      job: `bench_${name}`,
      seed,
      modality,
      dataset: { arrays: ours, labels },
      enrolled: null,
      incumbent: { head, tail: null },
      backbone: { id: SHIPPED_BACKBONES[modality], dir: backboneFolder(modality) },
      checkpoint: null,
      out_dir: out,
      device: 'cpu',
      limits: { threads: 1, max_seconds: null },
      false_reject_rate: 0.05,
      ...more,
    });
  };
  return {
    folder,
    train: (name, method) => spec(name, { method, target: theirs === null ? null : { arrays: theirs, labels } }),
    advise: () =>
      spec('advice', {
        action: 'advise',
        method: {},
        target: alone === null ? null : { arrays: alone, labels },
        exclude_target_rows: [],
        exclude_validation_rows: [],
        exclude_rows: target ? [] : Array.from({ length: heldOut }, (_, i) => labelled.rows.length + i),
      }),
  };
}
