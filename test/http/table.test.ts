/** Rows of a table as vectors: columns in whatever units, from two examples on, over every call that reads embeddings. */
import { describe, expect, it } from 'vitest';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { PredictionList } from '../../shared/wire/predictions.ts';
import { Report } from '../../shared/wire/report.ts';
import { Verification } from '../../shared/wire/verification.ts';
import { seededRandom } from '../../shared/statistics.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const LABELS = ['sedan', 'van', 'truck'] as const;
/** Litres a kilometre, doors, price, kilometres driven: the last two would drown the others. */
const MIDDLE = { sedan: [0.06, 4.5, 21_000, 90_000], van: [0.09, 3.2, 23_000, 95_000], truck: [0.2, 2.1, 26_000, 88_000] };
const SPREAD = [0.008, 0.3, 6_000, 60_000];

const random = seededRandom(8);
const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const car = (label: (typeof LABELS)[number]): number[] => MIDDLE[label].map((v, i) => v + SPREAD[i]! * normal());
const rows = (count: number) => Array.from({ length: count }, (_, i) => ({ label: LABELS[i % 3]!, vector: car(LABELS[i % 3]!) }));

async function taught(count: number): Promise<{ key: string; path: string; version: number }> {
  const { key } = await newTenant();
  const json = { name: 'cars', modality: 'vector', dimension: 4 };
  const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
  const path = `/v1/classifiers/${id}`;
  const { version, data } = await answer(await call(`${path}/examples`, { key, json: { examples: rows(count) } }), 201, EnrollAnswer);
  expect(data.flatMap((e) => e.warnings ?? []).filter((w) => w.code !== 'disagrees')).toEqual([]);
  return { key, path, version };
}

describe('rows of a table', () => {
  it('are told apart by the columns that differ, not by those with the largest numbers', async () => {
    const { key, path, version } = await taught(12);
    const asked = rows(30);
    const json = { inputs: asked.map(({ vector }) => ({ vector })), min_version: version };
    const { data } = await answer(await call(`${path}/predict`, { key, json }), 200, PredictionList);
    const right = data.filter((p, i) => p.scores[0]?.label === asked[i]!.label).length;
    expect(right / asked.length).toBeGreaterThan(0.85);
    const report = await answer(await call(`${path}/report`, { key }), 200, Report);
    expect(report.left_out?.accuracy).toBeGreaterThan(0.8);
    expect(report.near_duplicates).toEqual([]);
  });

  it('are verified on the same scale', async () => {
    const { key, path } = await taught(24);
    const similarityOf = async (label: string, vector: number[]): Promise<number> =>
      (await answer(await call(`${path}/verify`, { key, json: { label, vector } }), 200, Verification)).similarity;
    expect(await similarityOf('truck', MIDDLE.truck)).toBeGreaterThan(await similarityOf('truck', MIDDLE.sedan));
  });

  it('unknown columns are refused by their count, and a row far from all is unknown', async () => {
    const { key, path, version } = await taught(24);
    await problem(await call(`${path}/predict`, { key, json: { vector: [1, 2, 3] } }), 'dimension_mismatch');
    const json = { inputs: [{ vector: [0.06, 40, 21_000, 90_000] }, { vector: MIDDLE.van }], min_version: version };
    const { data } = await answer(await call(`${path}/predict`, { key, json }), 200, PredictionList);
    expect(data.map((p) => p.unknown)).toEqual([true, false]);
  });
});
