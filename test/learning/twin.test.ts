/** The engine's closed forms are these ones: the same rows give the same head in TypeScript and in Python. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { fitNovelty, leftOutVariances, variance } from '../../functions/learning/novelty.ts';
import { fitKernelRidge, kernelInPlace, landmarksOf } from '../../functions/learning/kernel.ts';
import { fitRidgeLeaveOneOut } from '../../functions/learning/ridge.ts';
import { fitTemperature } from '../../functions/learning/calibration.ts';
import { fitOpenSet } from '../../functions/learning/open-set.ts';
import { byContent } from '../../functions/learning/folds.ts';
import { transformFeature } from '../../functions/learning/features.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';
import { solveHead } from '../../functions/learning/solve-head.ts';
import { PYTHON, ROOT } from '../../infra/paths.ts';

const TWIN = `
import json, sys
import numpy as np
from engine import calibration, heads, kernel
g = json.load(sys.stdin)
x, y, k = np.array(g["x"]).reshape(g["n"], g["d"]), np.array(g["y"]), g["k"]
f = heads.fit_ridge(x, y, k)
t = calibration.fit_temperature(f.left_out, y)
rows = heads.unit(x)[: g["m"]]
kr, v = kernel.fit_kernel(x, rows, y, k), kernel.fit_novelty(rows)
z = kernel.kernel(heads.unit(x), rows)
known, background = f.left_out.max(1), f.scores(x[::2] * 0.3).max(1)
print(json.dumps({"weight": f.weight.ravel().tolist(), "bias": f.bias.tolist(), "lambda": f.lam, "leftOut": f.left_out.ravel().tolist(), "temperature": t,
  "threshold": heads.open_set_threshold(known, background, 0.05), "known": known.tolist(), "background": background.tolist(),
  "units": heads.unit(x).ravel().tolist(), "kernel": {"weight": kr.weight.ravel().tolist(), "bias": kr.bias.tolist(), "leftOut": kr.left_out.ravel().tolist()},
  "variance": v.variance(z).tolist(), "leftOutVariance": v.left_out().tolist(), "varianceWeight": v.weight}))
`;

test.each([
  [18, 40, 3, false],
  [300, 12, 4, false],
  [10, 40, 2, true],
  [300, 12, 2, true],
])('%i rows of %i dimensions, %i labels, one of a single row: %s', (n, d, k, single) => {
  let s = n;
  const next = (): number => (s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296 - 0.5;
  const y = Array.from({ length: n }, (_, i) => (single ? Number(i === 3) : i % 7 === 0 ? 0 : i % k));
  const x = Float64Array.from({ length: n * d }, (_, i) => next() * 0.2 + (i % d === y[Math.floor(i / d)]! ? 0.3 : 0));
  // Of 300 rows a part are landmarks: the Nyström approximation.
  const m = Math.min(n, 60);
  const input = JSON.stringify({ x: [...x], y, n, d, k, m });
  const run = spawnSync(PYTHON, ['-c', TWIN], { cwd: path.join(ROOT, 'gpu-trainer'), input, encoding: 'utf8' });
  // The engine keeps stdout for its protocol, and what is printed goes to stderr once the wire is loaded; heads alone do not load it.
  expect(run.status, run.stderr).toBe(0);
  type Fit = Record<'weight' | 'bias' | 'leftOut', number[]>;
  const twin = JSON.parse(run.stdout) as Fit &
    Record<'known' | 'background' | 'units' | 'variance' | 'leftOutVariance', number[]> &
    Record<'lambda' | 'temperature' | 'threshold' | 'varianceWeight', number> & { kernel: Fit };
  // The engine's rows come in an order that stays; here it is the order of the turns.
  const seen = new Map<number, number>();
  const foldOf = Int32Array.from(y, (c, i) => {
    // The only row of a label is left out alone.
    if (single && c === 1) return 32 + i;
    const turn = seen.get(c) ?? 0;
    seen.set(c, turn + 1);
    return turn % 32;
  });
  const ours = fitRidgeLeaveOneOut({ x, n, d, labels: k, labelsOf: y.map((c) => [c]), foldOf });
  expect(ours.lambda).toBe(twin.lambda);
  for (const part of ['weight', 'bias', 'leftOut'] as const) for (const [i, v] of twin[part].entries()) expect(ours[part][i]).toBeCloseTo(v, 7);
  expect(fitTemperature(ours.leftOut, y, k).temperature).toBeCloseTo(twin.temperature, 3);
  const units = Float32Array.from(twin.units);
  const landmarks = landmarksOf(units.subarray(0, m * d), m, d);
  const kappa = (i: number): Float64Array => {
    const cosine = (r: number): number => landmarks.rows.subarray(r * d, (r + 1) * d).reduce((sum, v, j) => sum + v * units[i * d + j]!, 0);
    return kernelInPlace(
      Float64Array.from({ length: m }, (_, r) => cosine(r)),
      4,
    );
  };
  const similarity = Float64Array.from(Array.from({ length: n }, (_, i) => [...kappa(i)]).flat());
  const labelsOf = y.map((c) => [c]);
  const kernel = fitKernelRidge({ landmarks, similarity, labels: k, labelsOf, foldOf, judged: [...y.keys()] });
  // Weights over landmarks that are nearly the same are not settled by single precision; what they say about rows is.
  for (const part of ['bias', 'leftOut'] as const) for (const [i, v] of twin.kernel[part].entries()) expect(kernel[part][i]).toBeCloseTo(v, 3);
  const novelty = fitNovelty(landmarks);
  expect(novelty.weight).toBeCloseTo(twin.varianceWeight, 4);
  for (let i = 0; i < n; i++) expect(variance(novelty.factor, kappa(i))).toBeCloseTo(twin.variance[i]!, 3);
  const left = leftOutVariances(novelty);
  for (const [i, v] of twin.leftOutVariance.entries()) expect(left[i]).toBeCloseTo(v, 3);
  expect(fitOpenSet(twin.known, twin.background, 0.05, 2).threshold).toBeCloseTo(twin.threshold, 9);
});

const SEVERAL = `
import json, sys
import numpy as np
from engine import calibration, kernel
g = json.load(sys.stdin)
x, y, k = np.array(g["x"]).reshape(g["n"], g["d"]), np.array(g["y"]).reshape(g["n"], g["k"]), g["k"]
h = kernel.fit_frozen(x, y, k)
t = calibration.fit_temperature(h.left_out, y)
scores = h.scores(np.array(g["asked"]).reshape(-1, g["d"]))
print(json.dumps({"names": [p.name for p in h.parts], "shares": [p.share for p in h.parts], "lambda": h.lam, "leftOut": h.left_out.ravel().tolist(),
  "temperature": t, "probabilities": calibration.sigmoid(scores, t).ravel().tolist()}))
`;

// Beyond 512 rows some are landmarks, and kernel ridge is blended with plain ridge.
test.each([
  [40, 24, 4],
  [700, 20, 5],
])('several labels a row: %i rows of %i dimensions', (n, d, k) => {
  let s = 7 * n;
  const next = (): number => (s = (s * 1_664_525 + 1_013_904_223) % 4_294_967_296) / 4_294_967_296;
  const present = Array.from({ length: n }, () => Array.from({ length: k }, (_, c) => next() < 0.5 / (c + 1)));
  const rowOf = (own: readonly boolean[]) => Float32Array.from({ length: d }, (_, j) => 0.1 + next() * 0.3 + (own[j] === true ? 0.5 : 0));
  // The edge takes turns by content: the engine gets the rows in that order, so that both leave the same ones out together.
  const rows = byContent(
    present.map((own, i) => ({
      id: `ex_${String(i).padStart(4, '0')}`,
      labelsOf: [...own.keys()].filter((c) => own[c]),
      base: rowOf(own),
      tuned: null,
    })),
  );
  expect([0, 1, 2].every((count) => rows.some(({ labelsOf }) => labelsOf.length === count))).toBe(true);
  const labels = Array.from({ length: k }, (_, c) => `l${c}`);
  const solved = solveHead({
    labels,
    task: 'multi_label',
    transform: 'l2',
    dimension: d,
    examples: rows,
    names: labels.map(() => null),
    background: { base: [], tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: null,
  })!;
  const asked = Array.from({ length: 12 }, (_, i) => rowOf(present[i]!));
  const unit = (v: Float32Array): number[] => [...transformFeature(v, 'l2', null)];
  const y = rows.flatMap(({ labelsOf }) => labels.map((_, c) => (labelsOf.includes(c) ? 1 : 0)));
  const input = JSON.stringify({ x: rows.flatMap(({ base }) => unit(base)), y, n, d, k, asked: asked.flatMap(unit) });
  const run = spawnSync(PYTHON, ['-c', SEVERAL], { cwd: path.join(ROOT, 'gpu-trainer'), input, encoding: 'utf8' });
  expect(run.status, run.stderr).toBe(0);
  const twin = JSON.parse(run.stdout) as Record<'leftOut' | 'probabilities' | 'shares', number[]> & {
    names: string[];
    lambda: number;
    temperature: number;
  };
  const { evidence, leftOut, head } = solved;
  const heard = evidence.blend.filter(({ weight }) => weight > 0);
  expect(heard.map(({ name }) => name)).toEqual(twin.names);
  for (const [i, { weight }] of heard.entries()) expect(weight).toBeCloseTo(twin.shares[i]!, 3);
  expect(evidence.lambda).toBe(twin.lambda);
  expect(evidence.temperature).toBeCloseTo(twin.temperature, 3);
  const place = new Map(rows.map(({ id }, i) => [id, i]));
  for (const [r, id] of leftOut.ids.entries())
    for (let c = 0; c < k; c++) expect(leftOut.scores[r * k + c]).toBeCloseTo(twin.leftOut[place.get(id)! * k + c]!, 3);
  for (const [i, base] of asked.entries())
    for (const { label, score } of scoreHead(head, { base, tuned: null }).scores)
      expect(score).toBeCloseTo(twin.probabilities[i * k + labels.indexOf(label)]!, 3);
});
