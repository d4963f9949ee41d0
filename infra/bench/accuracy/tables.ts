/** Tables that scikit-learn brings along, as vectors of a caller's own: columns of all sizes, and 64 grey values. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, takeTensor } from '../../../shared/safetensors.ts';
import { CACHE, PYTHON } from '../../paths.ts';
import type { MeasuredSet } from './embeddings.ts';

export const TABLES = { wine: 'load_wine', 'breast-cancer': 'load_breast_cancer', iris: 'load_iris', 'digits-64': 'load_digits' } as const;

const READ = `
import sys
import numpy as np
import sklearn.datasets
from safetensors.numpy import save_file
d = getattr(sklearn.datasets, sys.argv[1])()
save_file({"rows": np.ascontiguousarray(d.data, dtype=np.float32)}, sys.argv[2])
print(",".join(map(str, d.target)))
`;

export function readTable(name: keyof typeof TABLES): MeasuredSet {
  mkdirSync(CACHE, { recursive: true });
  const file = join(CACHE, `${name}-${process.pid}.safetensors`);
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', READ, TABLES[name], file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`reading ${name}: ${stderr}`);
  const { shape, data } = takeTensor(decodeSafetensors(new Uint8Array(readFileSync(file))), 'rows', 'F32', 2);
  rmSync(file);
  const [n, d] = shape as [number, number];
  const y = stdout.trim().split(',').map(Number);
  const labels = [...new Set(y)].toSorted((a, b) => a - b).map((c) => `class ${c}`);
  const rows = Array.from({ length: n }, (_, i) => data.slice(i * d, (i + 1) * d));
  return { name, modality: 'vector', labels, names: labels, ids: y.map((_, i) => String(i)), y, rows, nameRows: null };
}
