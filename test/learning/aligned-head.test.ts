/** A head that a job aligned with its target scores at the edge as the engine judged it: one over the kernel, with the moved rows as its support. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { rawScores, scoreHead, supportCosines } from '../../functions/learning/score-head.ts';
import { PYTHON, ROOT } from '../../infra/paths.ts';
import { decodeHead } from '../../shared/head-file.ts';

test('an aligned head of the engine answers alike at the edge', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-aligned-'));
  try {
    const run = spawnSync(PYTHON, ['-m', 'engine.tests.test_aligned_file', folder], { cwd: path.join(ROOT, 'gpu-trainer'), encoding: 'utf8' });
    expect(run.status, run.stderr).toBe(0);
    const head = decodeHead(new Uint8Array(readFileSync(path.join(folder, 'head.safetensors'))));
    const { rows, scores } = JSON.parse(readFileSync(path.join(folder, 'answers.json'), 'utf8')) as Record<'rows' | 'scores', number[][]>;
    expect(head.components.map((c) => c.kernel)).toEqual([{ power: 4 }]);
    expect(rows.length).toBeGreaterThan(50);
    for (const [i, row] of rows.entries()) {
      const seen = { base: Float32Array.from(row), tuned: null };
      for (const [c, score] of rawScores(head, seen).entries()) expect(score).toBeCloseTo(scores[i]![c]!, 3);
      // Its rows are where the target's inputs are, so one of them is near.
      expect(Math.max(...supportCosines(head, seen))).toBeGreaterThan(0.2);
    }
    const answers = rows.map((row) => scoreHead(head, { base: Float32Array.from(row), tuned: null }));
    expect(answers.filter((a) => a.unknown).length / answers.length).toBeLessThan(0.35);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
