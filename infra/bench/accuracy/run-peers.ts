/** The scikit-learn peers, in a process of their own beside ours. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { encodeSafetensors, tensor } from '../../../shared/safetensors.ts';
import { PYTHON } from '../../paths.ts';
import type { MeasuredSet } from './embeddings.ts';
import type { Episode } from './episodes.ts';

const PeerLine = z.object({ shots: z.number(), accuracy: z.record(z.string(), z.number()), auroc: z.number().optional() });

/** A line for each episode, in order. `values`: of each row, the first so many. @throws Error when the process fails */
export async function runPeers(
  set: MeasuredSet,
  all: readonly (readonly [number, readonly Episode[]])[],
  values = set.rows[0]!.length,
): Promise<z.infer<typeof PeerLine>[]> {
  const folder = mkdtempSync(join(tmpdir(), 'graft-accuracy-'));
  try {
    const d = values;
    const flat = new Float32Array(set.rows.length * d);
    for (const [i, row] of set.rows.entries()) flat.set(row.subarray(0, d), i * d);
    writeFileSync(join(folder, 'set.safetensors'), encodeSafetensors({ rows: tensor('F32', [set.rows.length, d], flat) }));
    writeFileSync(join(folder, 'episodes.json'), JSON.stringify(all));
    const child = spawn(
      PYTHON,
      [join(import.meta.dirname, 'peers.py'), join(folder, 'set.safetensors'), join(folder, 'episodes.json'), set.modality],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
      },
    );
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(`the peers ended with ${String(code)} on ${set.name}`);
    return z.array(PeerLine).parse(JSON.parse(text));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
