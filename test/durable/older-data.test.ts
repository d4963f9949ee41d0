/** Objects whose tables an older version of the code made go on under the new one, with their examples, labels and versions. */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { Classifier, DeletedLabel } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Prediction } from '../../shared/wire/predictions.ts';
import { answer, bindings, call, newTenant } from '../setup/harness.ts';

it('an object of the first tables is brought up to date when it is next asked', async () => {
  const { key } = await newTenant();
  const made = await call('/v1/classifiers', { key, json: { name: 'old', modality: 'vector', dimension: 2 } });
  const { id } = await answer(made, 201, Classifier);
  const enroll = async (label: string, vector: number[]) =>
    await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples: [{ label, vector }] } }), 201, EnrollAnswer);
  await enroll('a', [1, 0]);
  await enroll('b', [0, 1]);
  const stub = bindings.CLASSIFIER.getByName(id);
  await runInDurableObject(stub, (_, { storage: { sql } }) => {
    sql.exec('ALTER TABLE labels DROP COLUMN brought; DROP TABLE earlier_tuned; DROP TABLE review; DELETE FROM steps WHERE n > 1');
  });
  await evictDurableObject(stub);
  expect(await answer(await call(`/v1/classifiers/${id}`, { key }), 200, Classifier)).toMatchObject({
    version: 3,
    labels: [
      { name: 'a', examples: 1 },
      { name: 'b', examples: 1 },
    ],
  });
  await enroll('c', [-1, -1]);
  const said = await call(`/v1/classifiers/${id}/predict`, { key, json: { vector: [-1, -0.9], min_version: 4 } });
  expect(await answer(said, 200, Prediction)).toMatchObject({ label: 'c', version: 4 });
  await answer(await call(`/v1/classifiers/${id}/labels/a`, { key, method: 'DELETE' }), 200, DeletedLabel);
  const kept = await runInDurableObject(stub, (_, { storage: { sql } }) => sql.exec('SELECT name, brought FROM labels ORDER BY name').toArray());
  // Nobody knows any more why the old one is there: it stays until somebody deletes it.
  expect(kept).toEqual([
    { name: 'b', brought: 0 },
    { name: 'c', brought: 1 },
  ]);
});
