/** What aligning the heads alone brings: the engine's closed forms on frozen embeddings. No network is trained, so many draws take minutes. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { encodeSafetensors, tensor } from '../../../shared/safetensors.ts';
import { PYTHON, ROOT } from '../../paths.ts';
import { backboneFolder, type EmbeddedSet } from '../accuracy/embeddings.ts';
import type { Domain } from './domains.ts';
import { drawEpisode } from './episode.ts';
import type { Pair } from './options.ts';
import { figure, signed, table } from './intervals.ts';

const Line = z.object({ frozen: z.number(), ridge: z.number(), aligned: z.number() });
export type HeadsCell = z.infer<typeof Line> & { readonly pair: string; readonly size: number; readonly seed: number };

function writeRows(file: string, set: EmbeddedSet): void {
  const d = set.rows[0]!.length;
  const flat = new Float32Array(set.rows.length * d);
  for (const [i, row] of set.rows.entries()) flat.set(row, i * d);
  writeFileSync(file, encodeSafetensors({ rows: tensor('F32', [set.rows.length, d], flat) }));
}

/** All draws of one pair of domains. */
export async function measureHeads(
  pair: Pair,
  source: Domain,
  target: Domain,
  sizes: readonly number[],
  seeds: readonly number[],
): Promise<HeadsCell[]> {
  const folder = mkdtempSync(join(tmpdir(), 'graft-heads-'));
  try {
    const [from, to, asked] = ['source', 'target', 'episodes'].map((name) => join(folder, name)) as [string, string, string];
    writeRows(from, source.set);
    writeRows(to, target.set);
    const draws = sizes.flatMap((size) => seeds.map((seed) => ({ size, seed, episode: drawEpisode(source.set, target.set, size, seed) })));
    const episodes = draws.map(({ episode: { labels, train, unlabelled, gate, test } }) => ({
      labels: labels.length,
      train: train.rows,
      y: train.y,
      unlabelled,
      judged: [...gate.rows, ...test.rows],
      truth: [...gate.y, ...test.y],
    }));
    writeFileSync(asked, JSON.stringify(episodes));
    const { modality } = source.set;
    const background = join(backboneFolder(modality), 'background.safetensors');
    const child = spawn(PYTHON, [join(import.meta.dirname, 'heads.py'), from, to, background, modality === 'image' ? 'sqrt_l2' : 'l2', asked], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PYTHONPATH: join(ROOT, 'gpu-trainer'), OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(`the heads of ${pair.name} ended with ${String(code)}`);
    const lines = z.array(Line).parse(JSON.parse(text));
    return draws.map(({ size, seed }, i) => ({ ...lines[i]!, pair: pair.name, size, seed }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function printHeads(cells: readonly HeadsCell[]): string {
  const line = (name: string, some: readonly HeadsCell[]): string[] => {
    const gains = some.map((c) => c.aligned - c.frozen);
    return [
      name,
      String(some.length),
      figure(some.map((c) => c.ridge)),
      figure(some.map((c) => c.frozen)),
      figure(some.map((c) => c.aligned)),
      signed(gains),
      `${gains.filter((v) => v < 0).length}`,
    ];
  };
  const groups = [...new Set(cells.map((c) => c.size))].flatMap((size) => {
    const some = cells.filter((c) => c.size === size);
    const pairs = [...new Set(some.map((c) => c.pair))];
    return [
      ...pairs.map((pair) =>
        line(
          `${pair}, ${size}`,
          some.filter((c) => c.pair === pair),
        ),
      ),
      line(`all, ${size} a class`, some),
    ];
  });
  return `\n${table([['Frozen embedding, target rows', 'draws', 'ridge', 'frozen head', 'aligned head', 'gain', 'worse'], ...groups])}\n`;
}
