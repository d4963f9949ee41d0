/** The engine's closed forms are these ones: the same rows give the same head in TypeScript and in Python. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { fitRidgeLeaveOneOut } from '../../functions/learning/ridge.ts';
import { fitTemperature } from '../../functions/learning/calibration.ts';
import { fitOpenSet, nearestWeight } from '../../functions/learning/open-set.ts';
import { PYTHON, ROOT } from '../../infra/paths.ts';

const TWIN = `
import json, sys
import numpy as np
from engine import heads
g = json.load(sys.stdin)
x, y, k = np.array(g["x"]).reshape(g["n"], g["d"]), np.array(g["y"]), g["k"]
f = heads.fit_ridge(x, y, k)
t = heads.fit_temperature(f.left_out, y)
known, background = f.left_out.max(1), f.scores(x[::2] * 0.3).max(1)
print(json.dumps({"weight": f.weight.ravel().tolist(), "bias": f.bias.tolist(), "lambda": f.lam, "leftOut": f.left_out.ravel().tolist(), "temperature": t,
  "nearest": heads.nearest_weight(heads.unit(x)), "units": heads.unit(x).ravel().tolist(), "threshold": heads.open_set_threshold(known, background, 0.05), "known": known.tolist(), "background": background.tolist()}))
`;

test.each([
  [18, 40, 3],
  [300, 12, 4],
])('%i rows of %i dimensions', (n, d, k) => {
  let s = n;
  const next = (): number => (s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296 - 0.5;
  const y = Array.from({ length: n }, (_, i) => (i % 7 === 0 ? 0 : i % k));
  const x = Float64Array.from({ length: n * d }, (_, i) => next() * 0.2 + (i % d === y[Math.floor(i / d)]! ? 0.3 : 0));
  const input = JSON.stringify({ x: [...x], y, n, d, k });
  const run = spawnSync(PYTHON, ['-c', TWIN], { cwd: path.join(ROOT, 'gpu-trainer'), input, encoding: 'utf8' });
  // The engine keeps stdout for its protocol, and what is printed goes to stderr once the wire is loaded; heads alone do not load it.
  expect(run.status, run.stderr).toBe(0);
  const twin = JSON.parse(run.stdout) as Record<'weight' | 'bias' | 'leftOut' | 'known' | 'background' | 'units', number[]> &
    Record<'lambda' | 'temperature' | 'threshold' | 'nearest', number>;
  const ours = fitRidgeLeaveOneOut({ x, n, d, labels: k, labelsOf: y.map((c) => [c]) });
  expect(ours.lambda).toBe(twin.lambda);
  for (const part of ['weight', 'bias', 'leftOut'] as const) for (const [i, v] of twin[part].entries()) expect(ours[part][i]).toBeCloseTo(v, 7);
  expect(fitTemperature(ours.leftOut, y, k).temperature).toBeCloseTo(twin.temperature, 3);
  expect(nearestWeight(Float64Array.from(twin.units), n, d)).toBeCloseTo(twin.nearest, 9);
  expect(fitOpenSet(twin.known, twin.background, 0.05, 2).threshold).toBeCloseTo(twin.threshold, 9);
});
