/** Several labels an input, through the whole road: taught, asked, reported, corrected, renamed, merged, deleted. Vectors, one direction a label. */
import { describe, expect, it } from 'vitest';
import { Classifier, DeletedLabel, UpdatedLabel } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer, UpdatedExample } from '../../shared/wire/examples.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { Report } from '../../shared/wire/report.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const TAGS = ['red', 'round', 'soft'] as const;
const D = 8;
const SETS = [['red'], ['round'], ['soft'], ['red', 'round'], ['round', 'soft'], ['red', 'round', 'soft']] as const;

/** The sum of the labels' directions, a little noise, and something that every input has. */
function showing(tags: readonly string[], seed: number): number[] {
  return Array.from({ length: D }, (_, i) => (tags.includes(TAGS[i]!) ? 1 : 0) + 0.15 * Math.sin(7 * i + 13 * seed) + (i === D - 1 ? 0.5 : 0));
}

async function taught(more: object = {}) {
  const { key } = await newTenant();
  const json = { name: 'things', modality: 'vector', dimension: D, task: 'multi_label', unknown: null, ...more };
  const { id } = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
  const examples = SETS.flatMap((labels, s) => [1, 2, 3, 4].map((i) => ({ labels, vector: showing(labels, s + 10 * i) })));
  const list = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  const ask = async (vector: readonly number[], version: number) =>
    await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector, min_version: version } }), 200, Prediction);
  const report = async () => await answer(await call(`/v1/classifiers/${id}/report`, { key }), 200, Report);
  const change = async (label: string, body: object) =>
    await answer(await call(`/v1/classifiers/${id}/labels/${label}`, { key, method: 'PATCH', json: body }), 200, UpdatedLabel);
  return { key, id, list, ask, report, change };
}
const sorted = (labels: readonly string[] | undefined) => labels?.toSorted();

describe('several labels', () => {
  it('are answered each for itself, as probabilities that need not sum to one', async () => {
    const { ask, list } = await taught();
    for (const [s, labels] of SETS.entries()) {
      const said = await ask(showing(labels, 500 + s), list.version);
      expect(sorted(said.labels), labels.join()).toEqual(sorted(labels));
      for (const { label, score } of said.scores) expect(score >= 0.5, label).toBe(labels.includes(label as never));
    }
    const all = await ask(showing(TAGS, 77), list.version);
    expect(all.scores.reduce((sum, s) => sum + s.score, 0)).toBeGreaterThan(2);
    expect(list.data.flatMap((e) => e.warnings.filter((w) => w.code === 'disagrees'))).toEqual([]);
  });

  it('are judged left out: rows of several labels count, by exact match and by label', async () => {
    const { report, list, id, key } = await taught();
    const before = await report();
    expect(before.left_out?.rows).toBe(24);
    expect(before.left_out?.accuracy).toBeGreaterThan(0.9);
    expect(before.left_out?.expected_calibration_error).toBeLessThan(0.2);
    expect(before.per_class.map((c) => [c.label, c.rows])).toEqual([
      ['red', 12],
      ['round', 16],
      ['soft', 12],
    ]);
    expect(before.reliability.reduce((sum, b) => sum + b.rows, 0)).toBe(24 * 3);
    expect(before.label_issues).toEqual([]);
    // One that lost a label is found, by name and with the label that it lacks.
    const both = list.data.find((e) => e.labels.join() === 'red,round')!;
    const path = `/v1/classifiers/${id}/examples/${both.id}`;
    await answer(await call(path, { key, method: 'PATCH', json: { labels: ['red'] } }), 200, UpdatedExample);
    expect((await report()).label_issues[0]).toMatchObject({ example_id: both.id, label: 'red', suggested: 'round' });
  });

  it('keep their examples when one of them is renamed, merged or deleted', async () => {
    const { ask, change, id, key, list } = await taught();
    const counts = async () => {
      const { labels } = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
      return Object.fromEntries(labels.map((l) => [l.name, l.examples]));
    };
    const renamed = await change('red', { name: 'crimson' });
    expect(await counts()).toEqual({ crimson: 12, round: 16, soft: 12 });
    const named = await ask(showing(['red', 'soft'], 3), renamed.version);
    expect(sorted(named.labels)).toEqual(['crimson', 'soft']);
    // Those that had both have it once.
    const merged = await change('crimson', { merge_into: 'round' });
    expect(await counts()).toEqual({ round: 20, soft: 12 });
    expect(sorted((await ask(showing(['red'], 3), merged.version)).labels)).toEqual(['round']);
    await answer(await call(`/v1/classifiers/${id}/labels/round`, { key, method: 'DELETE' }), 200, DeletedLabel);
    expect(await counts()).toEqual({ soft: 12 });
    const gone = list.data.find((e) => e.labels.join() === 'red')!;
    await problem(await call(`/v1/classifiers/${id}/examples/${gone.id}`, { key }), 'not_found');
  });

  it('may be none of them', async () => {
    const { ask, list } = await taught({ unknown: { false_reject_rate: 0.05 } });
    const far = Array.from({ length: D }, (_, i) => (i === 5 ? 1 : 0));
    const said = await ask(far, list.version);
    expect(said.unknown).toBe(true);
    expect([said.label, said.labels]).toEqual([null, []]);
    expect((await ask(showing(['red'], 3), list.version)).unknown).toBe(false);
  });

  it('learn from examples that have none of them', async () => {
    const { ask, report, key, id, list } = await taught();
    // Close to red, and not red: only somebody who says so can know.
    const mauve = (seed: number) => showing(['red'], seed).map((x, i) => x + (i === 4 ? 0.7 : 0));
    expect((await ask(mauve(300), list.version)).labels).toEqual(['red']);
    const examples = [1, 2, 3, 4].map((seed) => ({ labels: [], vector: mauve(seed) }));
    const path = `/v1/classifiers/${id}/examples`;
    const more = await answer(
      await call(path, { key, json: { examples: [...examples, { labels: [], vector: showing(['red'], 1) }] } }),
      201,
      EnrollAnswer,
    );
    expect(more.data[0]).toMatchObject({ label: '', labels: [] });
    // The same bytes as an example of red.
    const conflict = more.data.at(-1)!;
    expect(conflict.warnings).toContainEqual(
      expect.objectContaining({ code: 'label_conflict', detail: expect.stringContaining('under the label "red"') }),
    );
    const corrected = await call(`${path}/${conflict.id}`, { key, method: 'PATCH', json: { labels: ['red'] } });
    const { version } = await answer(corrected, 200, UpdatedExample);
    expect((await ask(mauve(300), version)).labels).toEqual([]);
    expect((await ask(showing(['red'], 301), version)).labels).toEqual(['red']);
    expect((await report()).left_out?.rows).toBe(29);
    const back = await answer(await call(`${path}/${conflict.id}`, { key, method: 'PATCH', json: { labels: [] } }), 200, UpdatedExample);
    expect(back.labels).toEqual([]);
    // Without a label there is nothing to answer yet.
    const json = { name: 'e', modality: 'vector', dimension: D, task: 'multi_label' };
    const empty = await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
    await answer(await call(`/v1/classifiers/${empty.id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
    await problem(await call(`/v1/classifiers/${empty.id}/predict`, { key, json: { vector: mauve(1) } }), 'nothing_to_predict');
  });
});
