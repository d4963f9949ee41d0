/** Labels that examples had once are forgotten when no version is left that was solved from them, and not before. */
import { runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { VERSIONS_KEPT } from '../../shared/limits.ts';
import { seededRandom } from '../../shared/statistics.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer, Example } from '../../shared/wire/examples.ts';
import { assignLabels, insertExample, membershipsAt, PLAIN } from '../../functions/durable/records.ts';
import { seenBy } from '../../functions/durable/served-members.ts';
import { forgetUnseenMemberships } from '../../functions/durable/unseen-memberships.ts';
import { answer, bindings, call, newTenant } from '../setup/harness.ts';

const inside = async <T>(id: string, look: (sql: SqlStorage) => T): Promise<T> =>
  await runInDurableObject(bindings.CLASSIFIER.getByName(id), (_, state) => look(state.storage.sql));
const count = (sql: SqlStorage) => sql.exec<{ n: number }>('SELECT count(*) AS n FROM memberships').one().n;

it('every version that is left sees the same examples with the same labels, restored ones and deleted examples included', async () => {
  const [before, after, many, left] = await inside(crypto.randomUUID(), (sql) => {
    const random = seededRandom(7);
    const below = (n: number) => Math.floor(random() * n);
    const insert = 'INSERT INTO versions (n, kind, labels, recipe, evidence, parent, created_at) VALUES (?, ?, ?, ?, ?, ?, 0)';
    for (let n = 1; n <= 120; n++) {
      const restored = n > 5 && random() < 0.3;
      sql.exec(insert, n, restored ? 'restored' : 'instant', '[]', JSON.stringify(PLAIN), 'null', restored ? 1 + below(n - 1) : n - 1);
      for (let k = below(4); k > 0; k--) {
        const id = `ex_${below(30)}`;
        const bare = { base: new Float32Array(1), tuned: null, sha256: id, contentType: null, objectKey: null, externalId: null };
        if (!insertExample(sql, { id, labels: [`l${n}`], ...bare }, n, 'enrolled', 0)) assignLabels(sql, id, [`l${n}`], n);
      }
    }
    sql.exec('DELETE FROM versions WHERE n <= 70 AND n % 23 <> 0');
    const numbers = sql.exec<{ n: number }>('SELECT n FROM versions').toArray();
    const views = () => [...numbers.map(({ n }) => seenBy(sql, n)), null].map((seen) => membershipsAt(sql, seen));
    const [first, all] = [views(), count(sql)];
    forgetUnseenMemberships(sql);
    return [first, views(), all, count(sql)];
  });
  expect(after).toEqual(before);
  expect(after.at(-1)).toHaveLength(30);
  expect(left).toBeLessThan(many);
});

it('an example that is given another label again and again does not grow', async () => {
  const { key } = await newTenant();
  const made = await call('/v1/classifiers', { key, json: { name: 'x', modality: 'vector', dimension: 2 } });
  const { id } = await answer(made, 201, Classifier);
  const examples = [
    { label: 'a', vector: [1, 0] },
    { label: 'b', vector: [0, 1] },
  ];
  const { data } = await answer(await call(`/v1/classifiers/${id}/examples`, { key, json: { examples } }), 201, EnrollAnswer);
  const path = `/v1/classifiers/${id}/examples/${data[0]!.id}`;
  for (let n = 0; n < 2 * VERSIONS_KEPT; n++)
    await answer(await call(path, { key, method: 'PATCH', json: { label: n % 2 ? 'a' : 'b' } }), 200, Example.loose());
  expect(await inside(id, count)).toBeLessThanOrEqual(VERSIONS_KEPT + 5);
});
