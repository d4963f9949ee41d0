/** The road of a caller without training: make, teach, ask, correct, forget, roll back. Vectors, so that every number can be reasoned about. */
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { listOf } from '../../shared/wire/page.ts';
import { Classifier, DeletedClassifier, DeletedLabel, UpdatedLabel, Version } from '../../shared/wire/classifiers.ts';
import { DeletedExample, EnrollAnswer, Example, UpdatedExample } from '../../shared/wire/examples.ts';
import { Prediction, PredictionList } from '../../shared/wire/predictions.ts';
import { Report } from '../../shared/wire/report.ts';
import { Usage } from '../../shared/wire/usage.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const NORTH = [1, 0, 0, 0];
const EAST = [0, 1, 0, 0];
const near = (v: readonly number[], by: number) => v.map((x, i) => x + by * Math.sin(i + by * 10));

async function make(key: string, more: object = {}): Promise<Classifier> {
  const json = { name: 'compass', modality: 'vector', dimension: 4, unknown: null, ...more };
  return await answer(await call('/v1/classifiers', { key, json }), 201, Classifier);
}

async function enroll(key: string, id: string, examples: object[]): Promise<EnrollAnswer> {
  return await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
}

async function ask(key: string, id: string, vector: readonly number[], version = 0): Promise<Prediction> {
  return await answer(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector, min_version: version } }), 200, Prediction);
}

async function taught(key: string): Promise<{ id: string; version: number; examples: string[] }> {
  const { id } = await make(key);
  const examples = [0.05, 0.1, 0.15].flatMap((by) => [
    { label: 'north', vector: near(NORTH, by) },
    { label: 'east', vector: near(EAST, by) },
  ]);
  const list = await enroll(key, id, examples);
  return { id, version: list.version, examples: list.data.map((e) => e.id) };
}

describe('classifiers', () => {
  it('is made, listed, renamed and deleted', async () => {
    const { key } = await newTenant();
    const made = await make(key, { labels: [{ name: ' north ', description: 'up' }, { name: 'east' }] });
    expect(made).toMatchObject({
      name: 'compass',
      modality: 'vector',
      backbone: null,
      dimension: 4,
      task: 'single_label',
      unknown: null,
      model: null,
    });
    expect(made.labels).toEqual([
      { name: 'north', description: 'up', examples: 0 },
      { name: 'east', description: null, examples: 0 },
    ]);
    expect(await answer(await call(`/v1/classifiers/${made.id}`, { key }), 200, Classifier)).toEqual(made);
    const list = await answer(await call('/v1/classifiers', { key }), 200, listOf(Classifier, 'ClassifierList'));
    expect(list.data).toEqual([made]);
    const change = { name: 'rose', unknown: { false_reject_rate: 0.1 } };
    const renamed = await answer(await call(`/v1/classifiers/${made.id}`, { key, method: 'PATCH', json: change }), 200, Classifier);
    expect(renamed).toMatchObject(change);
    await answer(await call(`/v1/classifiers/${made.id}`, { key, method: 'DELETE' }), 200, DeletedClassifier);
    await problem(await call(`/v1/classifiers/${made.id}`, { key }), 'not_found');
    await problem(await call(`/v1/classifiers/${made.id}/predict`, { key, json: { vector: NORTH } }), 'not_found');
    await problem(await call(`/v1/classifiers/${made.id}`, { key, method: 'DELETE' }), 'not_found');
  });

  it('refuses what cannot be made, saying what and where', async () => {
    const { key } = await newTenant();
    const tell = async (json: object, code: Parameters<typeof problem>[1]) => await problem(await call('/v1/classifiers', { key, json }), code);
    expect((await tell({ name: 'x', modality: 'vector' }, 'invalid_request')).param).toBe('dimension');
    expect((await tell({ name: 'x', modality: 'vector', dimension: 4, backbone: 'b' }, 'invalid_request')).param).toBe('backbone');
    expect((await tell({ name: 'x', modality: 'vector', dimension: 5_000 }, 'invalid_request')).errors?.[0]?.pointer).toBe('/dimension');
    await tell({ name: 'x', modality: 'sound' }, 'invalid_request');
    await tell({ name: 'x', modality: 'text', backbone: '../../keys' }, 'unknown_backbone');
    const twice = { name: 'x', modality: 'vector', dimension: 4, labels: [{ name: 'a' }, { name: ' a' }] };
    expect((await tell(twice, 'invalid_request')).errors?.[0]?.pointer).toBe('/labels/1/name');
  });

  it('learns, answers, and shows a write to its own version at once', async () => {
    const { key } = await newTenant();
    const { id } = await make(key);
    await problem(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector: NORTH } }), 'nothing_to_predict');
    const one = await enroll(key, id, [
      { label: 'north', vector: NORTH, external_id: 'n-1' },
      { label: 'east', vector: EAST },
    ]);
    expect(one.data[0]).toMatchObject({ label: 'north', external_id: 'n-1' });
    const first = await ask(key, id, near(NORTH, 0.1), one.version);
    expect(first.label).toBe('north');
    expect(first.version).toBe(one.version);
    expect(first.labels).toBeUndefined();
    expect(first.scores.map((s) => s.label)).toEqual(['north', 'east']);
    expect(first.scores.reduce((sum, s) => sum + s.score, 0)).toBeCloseTo(1, 6);
    for (const label of ['south', 'west', 'up']) {
      const more = await enroll(key, id, [{ label, vector: { south: [0, 0, 1, 0], west: [0, 0, 0, 1], up: [-1, -1, 0, 0] }[label] }]);
      const seen = await ask(key, id, NORTH, more.version);
      expect(seen.version).toBeGreaterThanOrEqual(more.version);
      expect(seen.scores.map((s) => s.label)).toContain(label);
    }
    const top = await call(`/v1/classifiers/${id}/predict`, { key, json: { inputs: [{ vector: NORTH }, { vector: EAST }], top_k: 1 } });
    expect(top.headers.get('server-timing')).toMatch(/decode;dur=.*embed;dur=.*score;dur=/);
    const list = await answer(top, 200, PredictionList);
    expect(list.data.map((p) => [p.label, p.scores.length])).toEqual([
      ['north', 1],
      ['east', 1],
    ]);
  });

  it('answers several labels when asked to', async () => {
    const { key } = await newTenant();
    const { id } = await make(key, { task: 'multi_label' });
    const both = [0.7, 0.7, 0, 0];
    const { version } = await enroll(key, id, [
      ...[0, 0.02, 0.04].map((by) => ({ labels: ['north', 'east'], vector: near(both, by) })),
      ...[0, 0.02, 0.04].map((by) => ({ labels: ['north'], vector: near(NORTH, by) })),
      ...[0, 0.02, 0.04].map((by) => ({ labels: ['east'], vector: near(EAST, by) })),
    ]);
    expect((await ask(key, id, both, version)).labels?.toSorted()).toEqual(['east', 'north']);
  });

  it('refuses an enrollment whole, with every fault at its pointer', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const path = `/v1/classifiers/${id}/examples`;
    const faults = [
      { label: 'north', vector: NORTH },
      { label: 'north', vector: [1, 2] },
      { label: 'east', text: 'hello' },
    ];
    const body = await problem(await call(path, { key, json: { examples: faults } }), 'dimension_mismatch');
    expect(body.errors?.map((e) => [e.pointer, e.code])).toEqual([
      ['/examples/1/vector', 'dimension_mismatch'],
      ['/examples/2/text', 'unprocessable'],
    ]);
    const shape = await problem(
      await call(path, { key, json: { examples: [{ label: 'a', labels: ['b'], vector: NORTH }, { label: 'a' }] } }),
      'invalid_request',
    );
    expect(shape.errors?.map((e) => e.pointer)).toEqual(['/examples/0', '/examples/1']);
    await problem(await call(path, { key, json: { examples: [] } }), 'invalid_request');
    await problem(
      await call(path, { key, json: { examples: Array.from({ length: 65 }, () => ({ label: 'a', vector: NORTH })) } }),
      'invalid_request',
    );
    await problem(await call(path, { key, json: { examples: [{ label: 'a', vector: [1e39, 0, 0, 0] }] } }), 'unprocessable');
    await problem(await call(path, { key, json: { examples: [{ labels: ['a', 'b'], vector: NORTH }] } }), 'unprocessable');
    await problem(await call(path, { key, json: { examples: [{ label: 'line\u0007', vector: NORTH }] } }), 'invalid_request');
    const after = await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier);
    expect([after.version, after.labels.map((l) => l.examples)]).toEqual([version, [3, 3]]);
  });

  it('deletes an example as if it had never been there', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const before = await ask(key, id, near(NORTH, 0.3), version);
    const wrong = await enroll(key, id, [{ label: 'east', vector: near(NORTH, 0.3) }]);
    const misled = await ask(key, id, near(NORTH, 0.3), wrong.version);
    expect(misled.scores).not.toEqual(before.scores);
    const path = `/v1/classifiers/${id}/examples/${wrong.data[0]?.id}`;
    const gone = await answer(await call(path, { key, method: 'DELETE' }), 200, DeletedExample);
    const after = await ask(key, id, near(NORTH, 0.3), gone.version);
    for (const [i, { label, score }] of before.scores.entries()) {
      expect(after.scores[i]?.label).toBe(label);
      expect(after.scores[i]?.score).toBeCloseTo(score, 6);
    }
    await problem(await call(path, { key }), 'not_found');
    await problem(await call(path, { key, method: 'DELETE' }), 'not_found');
  });

  it('forgets with its last example a label that only examples made', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const labels = async () => (await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier)).labels.map((l) => l.name);
    const remove = async (example: string) =>
      await answer(await call(`/v1/classifiers/${id}/examples/${example}`, { key, method: 'DELETE' }), 200, DeletedExample);
    const known = await labels();
    const before = await ask(key, id, near(NORTH, 0.3), version);
    const slip = await enroll(key, id, [
      { label: 'nroth', vector: near(NORTH, 0.3) },
      { label: 'nroth', vector: near(NORTH, 0.2) },
    ]);
    expect(await labels()).toEqual([...known, 'nroth']);
    await remove(slip.data[0]!.id);
    expect(await labels()).toEqual([...known, 'nroth']);
    const gone = await remove(slip.data[1]!.id);
    expect(await labels()).toEqual(known);
    const after = await ask(key, id, near(NORTH, 0.3), gone.version);
    expect(after.scores.map((s) => s.label)).toEqual(before.scores.map((s) => s.label));
    // Going back to a version that knew it does not bring it back.
    await answer(await call(`/v1/classifiers/${id}/versions/${slip.version}/activate`, { key, method: 'POST' }), 200, Version);
    expect((await ask(key, id, near(NORTH, 0.3), 0)).scores.map((s) => s.label).toSorted()).toEqual(known.toSorted());
    // A label that was asked for by name, or described since, stays.
    const said = await enroll(key, id, [{ label: 'up', vector: near(NORTH, 0.5) }]);
    await answer(await call(`/v1/classifiers/${id}/labels/up`, { key, method: 'PATCH', json: { description: 'above' } }), 200, UpdatedLabel);
    await remove(said.data[0]!.id);
    expect(await labels()).toEqual([...known, 'up']);
  });

  it('lists, filters and relabels examples, and knows only labels that exist', async () => {
    const { key } = await newTenant();
    const { id, examples } = await taught(key);
    const List = listOf(Example, 'ExampleList');
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: ReturnType<typeof List.parse> = await answer(
        await call(`/v1/classifiers/${id}/examples?limit=4${cursor ? `&cursor=${cursor}` : ''}`, { key }),
        200,
        List,
      );
      seen.push(...page.data.map((e) => e.id));
      cursor = page.next_cursor;
    } while (cursor);
    expect(seen.toSorted()).toEqual(examples.toSorted());
    const north = await answer(await call(`/v1/classifiers/${id}/examples?label=north`, { key }), 200, List);
    expect(north.data.map((e) => e.label)).toEqual(['north', 'north', 'north']);
    const path = `/v1/classifiers/${id}/examples/${north.data[0]?.id}`;
    const unknown = await problem(await call(path, { key, method: 'PATCH', json: { label: 'nroth' } }), 'unknown_label');
    expect(unknown.detail).toContain('nroth');
    const changed = await answer(await call(path, { key, method: 'PATCH', json: { label: 'east' } }), 200, UpdatedExample);
    expect(changed.label).toBe('east');
    expect((await answer(await call(path, { key }), 200, Example)).label).toBe('east');
    await problem(await call(path, { key, method: 'PATCH', json: {} }), 'invalid_request');
    // Each input has one label here, however it is told.
    for (const labels of [['north', 'east'], []]) await problem(await call(path, { key, method: 'PATCH', json: { labels } }), 'unprocessable');
  });

  it('renames, merges and deletes labels', async () => {
    const { key } = await newTenant();
    const { id } = await taught(key);
    const label = (name: string) => `/v1/classifiers/${id}/labels/${encodeURIComponent(name)}`;
    const json = { name: 'north / up', description: 'towards the pole' };
    const renamed = await answer(await call(label('north'), { key, method: 'PATCH', json }), 200, UpdatedLabel);
    expect(renamed).toMatchObject({ ...json, examples: 3 });
    expect((await ask(key, id, NORTH, renamed.version)).label).toBe('north / up');
    await problem(await call(label('north'), { key, method: 'PATCH', json }), 'not_found');
    const merged = await answer(await call(label('north / up'), { key, method: 'PATCH', json: { merge_into: 'east' } }), 200, UpdatedLabel);
    expect(merged).toMatchObject({ name: 'east', examples: 6 });
    await problem(await call(label('east'), { key, method: 'PATCH', json: { merge_into: 'nowhere' } }), 'unknown_label');
    const deleted = await answer(await call(label('east'), { key, method: 'DELETE' }), 200, DeletedLabel);
    await problem(await call(`/v1/classifiers/${id}/predict`, { key, json: { vector: NORTH, min_version: deleted.version } }), 'nothing_to_predict');
  });

  it('keeps versions, goes back to one, and tells so', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    const later = await enroll(key, id, [{ label: 'south', vector: [0, 0, 1, 0] }]);
    const List = listOf(Version, 'ClassifierVersionList');
    const versions = await answer(await call(`/v1/classifiers/${id}/versions`, { key }), 200, List);
    expect(versions.data[0]).toMatchObject({ n: later.version, active: true, kind: 'instant' });
    const path = `/v1/classifiers/${id}/versions/${version}`;
    expect((await answer(await call(path, { key }), 200, Version)).labels.toSorted()).toEqual(['east', 'north']);
    const back = await answer(await call(`${path}/activate`, { key, method: 'POST' }), 200, Version);
    expect(back.active).toBe(true);
    // Whoever enrolled just before is answered from what was gone back to, and a number that no version had is no earlier state.
    for (const asked of [0, version, later.version]) {
      const seen = await ask(key, id, [0, 0, 1, 0], asked);
      expect(seen.scores.map((s) => s.label).toSorted()).toEqual(['east', 'north']);
    }
    for (const [query, json] of [
      ['', { inputs: [{ vector: NORTH }], min_version: later.version + 1 }],
      [`?min_version=${later.version + 1}`, { vector: NORTH }],
    ] as const) {
      const ahead = await problem(await call(`/v1/classifiers/${id}/predict${query}`, { key, json }), 'unknown_version');
      expect(ahead).toMatchObject({ status: 422, param: 'min_version' });
      expect(ahead.detail).toContain(`newest is ${later.version}`);
    }
    const events = await (await call('/v1/events', { key })).json<{ data: { type: string; data: Record<string, unknown> }[] }>();
    const told = events.data.filter((e) => e.type === 'classifier.version.activated');
    expect(told).toHaveLength(1);
    expect(told[0]?.data).toMatchObject({ object: 'classifier.version', classifier: id, version: back.n, previous: later.version, job: null });
    await problem(await call(`/v1/classifiers/${id}/versions/999999`, { key }), 'not_found');
    await problem(await call(`/v1/classifiers/${id}/versions/two`, { key }), 'not_found');
    await problem(await call(`/v1/classifiers/${id}/versions/999999/activate`, { key, method: 'POST' }), 'not_found');
  });

  it('reports on itself before and after there is something to report', async () => {
    const { key } = await newTenant();
    const { id } = await make(key);
    const empty = await answer(await call(`/v1/classifiers/${id}/report`, { key }), 200, Report);
    expect(empty.left_out).toBeNull();
    const full = await answer(await call(`/v1/classifiers/${(await taught(key)).id}/report`, { key }), 200, Report);
    expect(full.left_out).toMatchObject({ rows: 6, accuracy: 1 });
  });

  it('names examples that show the same thing, whatever their labels, in its report', async () => {
    const { key } = await newTenant();
    const { id } = await make(key);
    const { data } = await enroll(key, id, [
      { label: 'north', vector: [1, 0, 0, 0] },
      { label: 'east', vector: [0, 1, 0, 0] },
      { label: 'north', vector: [0, 0, 1, 0] },
      { label: 'north', vector: [0, 1, 0.01, 0] },
      { label: 'north', vector: [1, 0, 0, 0] },
    ]);
    const ids = data.map((e) => e.id);
    const report = await answer(await call(`/v1/classifiers/${id}/report`, { key }), 200, Report);
    expect(report.near_duplicates).toEqual([
      { example_id: ids[4], labels: ['north'], with: ids[0], with_labels: ['north'], similarity: 1, same_bytes: true, conflict: false },
      expect.objectContaining({ example_id: ids[3], with: ids[1], labels: ['north'], with_labels: ['east'], same_bytes: false, conflict: true }),
    ]);
    expect(report.near_duplicates[1]?.similarity).toBeGreaterThan(0.998);
    expect(report.near_duplicates_among).toBe(4);
  });

  it('lists the examples of one call in the order given, and calls no two vectors more alike than equal', async () => {
    const { key } = await newTenant();
    const { id } = await make(key);
    const examples = Array.from({ length: 12 }, (_, i) => ({ label: i % 2 ? 'north' : 'east', vector: near(i % 2 ? NORTH : EAST, i / 30) }));
    const { data } = await enroll(key, id, examples);
    const listed = await answer(await call(`/v1/classifiers/${id}/examples?limit=100`, { key }), 200, listOf(Example, 'ExampleList'));
    expect(listed.data.map((e) => e.id)).toEqual(data.map((e) => e.id));
    for (const { vector } of examples) {
      const { nearest } = await ask(key, id, vector);
      expect(nearest?.similarity).toBeGreaterThan(0.9999);
      expect(nearest?.similarity).toBeLessThanOrEqual(1);
    }
  });

  it('names every field that does not exist, labels that are no text, and encodings that are not read', async () => {
    const { key } = await newTenant();
    const body = { name: 'x', modality: 'vector', dimension: 2, labels: [{ name: 'a', colour: 'red' }], colour: 'blue', 'a/b': 1 };
    const fault = await problem(await call('/v1/classifiers', { key, json: body }), 'invalid_request');
    expect(fault.errors?.map((e) => e.pointer).toSorted()).toEqual(['/a~1b', '/colour', '/labels/0/colour']);
    expect(fault.detail).toContain('There is no field "colour" here.');
    const half = await problem(
      await call('/v1/classifiers', { key, json: { name: 'x', modality: 'vector', dimension: 2, labels: [{ name: 'a\ud800' }] } }),
      'invalid_request',
    );
    expect(half.errors).toMatchObject([{ pointer: '/labels/0/name', detail: expect.stringContaining('surrogate') }]);
    const packed = await problem(
      await call('/v1/classifiers', { key, json: { name: 'x', modality: 'text' }, headers: { 'content-encoding': 'gzip' } }),
      'unsupported_media_type',
    );
    expect(packed.detail).toContain('"gzip"');
  });

  it('lists versions whole, or page by page where that is asked for', async () => {
    const { key } = await newTenant();
    const { id, version } = await taught(key);
    for (const by of [0.2, 0.25, 0.3]) await enroll(key, id, [{ label: 'north', vector: near(NORTH, by) }]);
    const Page = listOf(Version, 'ClassifierVersionList');
    const list = async (query: string) => await answer(await call(`/v1/classifiers/${id}/versions${query}`, { key }), 200, Page);
    const all = (await list('')).data.map((v) => v.n);
    expect(all).toEqual(Array.from({ length: version + 3 }, (_, i) => version + 3 - i));
    const paged: number[] = [];
    let cursor: string | null = null;
    do {
      const page: z.infer<typeof Page> = await list(`?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`);
      expect(page.data.length).toBeLessThanOrEqual(2);
      expect(page.has_more).toBe(page.next_cursor !== null);
      paged.push(...page.data.map((v) => v.n));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(paged).toEqual(all);
    await problem(await call(`/v1/classifiers/${id}/versions?cursor=other`, { key }), 'invalid_request');
  });

  it('takes no label that a path could not name, and calls a body without bytes empty', async () => {
    const { key } = await newTenant();
    const { id } = await make(key);
    const json = { examples: [{ label: '..', vector: NORTH }] };
    const fault = await problem(await call(`/v1/classifiers/${id}/examples`, { key, json }), 'invalid_request');
    expect(fault.errors?.[0]?.pointer).toBe('/examples/0/label');
    // Over the network a body without bytes is an empty stream, not none.
    const bare = { key, body: new Uint8Array(0) as unknown as string, headers: { 'content-length': '0' } };
    for (const path of ['predict', 'examples', 'adapt']) await problem(await call(`/v1/classifiers/${id}/${path}`, bare), 'empty_body');
  });

  it('names the field in which a label is unknown or taken', async () => {
    const { key } = await newTenant();
    const { id, examples } = await taught(key);
    const at = async (path: string, method: string, json: object, code: 'unknown_label' | 'conflict') =>
      (await problem(await call(`/v1/classifiers/${id}${path}`, { key, method, json }), code)).errors?.map((e) => e.pointer);
    expect(await at(`/examples/${examples[0]}`, 'PATCH', { label: 'up' }, 'unknown_label')).toEqual(['/label']);
    expect(await at('/verify', 'POST', { label: 'up', vector: NORTH }, 'unknown_label')).toEqual(['/label']);
    expect(await at('/labels/north', 'PATCH', { merge_into: 'up' }, 'unknown_label')).toEqual(['/merge_into']);
    expect(await at('/labels/north', 'PATCH', { name: 'east' }, 'conflict')).toEqual(['/name']);
    const inputs = Array.from({ length: 12 }, (_, i) => ({ vector: near(NORTH, i / 50), ...(i === 3 ? { label: 'up' } : {}) }));
    expect(await at('/adapt', 'POST', { inputs }, 'unknown_label')).toEqual(['/inputs/3/label']);
    const bare = await make(key, { labels: [{ name: 'north' }, { name: 'south' }] });
    await enroll(key, bare.id, [{ label: 'north', vector: NORTH }]);
    const adapt = await call(`/v1/classifiers/${bare.id}/adapt`, { key, json: { inputs: inputs.map(({ vector }) => ({ vector })) } });
    expect((await problem(adapt, 'unprocessable')).detail).toContain('only one has examples');
  });

  it('answers many classifiers with one input', async () => {
    const { key } = await newTenant();
    const [one, two] = [await taught(key), await taught(key)];
    const list = await answer(await call('/v1/predict', { key, json: { classifiers: [one.id, two.id], vector: NORTH } }), 200, PredictionList);
    expect(list.data.map((p) => [p.classifier, p.label])).toEqual([
      [one.id, 'north'],
      [two.id, 'north'],
    ]);
    const other = await make(key, { dimension: 5 });
    await problem(await call('/v1/predict', { key, json: { classifiers: [one.id, other.id], vector: NORTH } }), 'unprocessable');
    await problem(await call('/v1/predict', { key, json: { classifiers: [one.id, 'cls_nobody'], vector: NORTH } }), 'not_found');
  });

  it('counts what was used', async () => {
    const { key } = await newTenant();
    const { id } = await taught(key);
    for (let i = 0; i < 3; i++) await ask(key, id, NORTH);
    // Counted after the answers, some seconds at most.
    const usage = async () => await answer(await call('/v1/usage', { key }), 200, Usage);
    await expect.poll(usage, { timeout: 60_000, interval: 300 }).toMatchObject({ predictions: 3, enrollments: 6, stored_bytes: 0 });
  });
});
