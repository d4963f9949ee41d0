/** What was under way when a classifier was deleted: it is refused by name, so that whoever asked can clean up, and brings nothing back. */
import { describe, expect, it } from 'vitest';
import { newTenant } from '../setup/harness.ts';
import { deps, DIMENSION, publishTinyBackbone, tinyClassifier } from '../setup/training.ts';

describe('a classifier that was deleted meanwhile', () => {
  it('is not there for any change, and stays as empty as it was left', async () => {
    await publishTinyBackbone();
    const object = deps.classifier(await tinyClassifier((await newTenant()).tenant, 2));
    const { id } = (await object.listExamples({ limit: 1, after: null, label: null })).data[0]!;
    const { version } = (await object.describe())!;
    await object.destroy();
    const vector = new Float32Array(DIMENSION).fill(1);
    const example = { id: deps.newId('example'), labels: ['apple'], base: vector, tuned: null, sha256: '3'.repeat(64) };
    const trained = { model: 'mdl_x', backbone: 'tiny-image', headKey: 'x', embeddingsKey: 'y', datasetId: 'ds_x', enrolledIds: [], evidence: null };
    const asked = {
      enroll: object.enroll([{ ...example, contentType: null, objectKey: null, externalId: null }], []),
      relabelExample: object.relabelExample(id, ['pear']),
      deleteExample: object.deleteExample(id),
      updateLabel: object.updateLabel('apple', { name: 'apples' }),
      deleteLabel: object.deleteLabel('apple'),
      headOf: object.headOf(version),
      verify: object.verify({ label: 'apple', embedding: vector, falseAcceptRate: 0.01 }),
      adapt: object.adapt([{ base: vector, tuned: null, labels: null }], { model: null, source: null }),
      activateVersion: object.activateVersion(version),
      takeTrained: object.takeTrained({ ...trained, job: deps.newId('job'), comparedWith: version, activate: true }),
      enrollReviewed: object.enrollReviewed(deps.newId('review'), { labels: ['apple'], tuned: null }, []),
    };
    for (const [name, answer] of Object.entries(asked)) expect(await answer, name).toMatchObject({ ok: false, code: 'not_found' });
    expect(await object.describe()).toBeNull();
    expect((await object.listExamples({ limit: 10, after: null, label: null })).data).toEqual([]);
    expect(await object.listVersions()).toEqual([]);
  });
});
