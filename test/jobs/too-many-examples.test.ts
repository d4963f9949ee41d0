/** More examples than a lease can name are refused with a reason, instead of by an isolate that dies of them again and again. */
import { runInDurableObject } from 'cloudflare:test';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { ENROLLED_TRAINED_MAX } from '../../shared/limits.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { answer, bindings, call, newTenant } from '../setup/harness.ts';
import { clearQueue, newJob, publishTinyBackbone, readyDataset, runner, tinyClassifier } from '../setup/training.ts';

beforeAll(publishTinyBackbone);
beforeEach(clearQueue);

it('a job of a classifier with one more enrolled example than a lease takes fails and says why', async () => {
  const { key, tenant } = await newTenant();
  const dataset = (await readyDataset(key)).id;
  const classifier = await tinyClassifier(tenant, 1);
  const add = async (count: number) =>
    await runInDurableObject(bindings.CLASSIFIER.getByName(classifier), (_, { storage: { sql } }) => {
      const { id } = sql.exec<{ id: string }>('SELECT id FROM examples LIMIT 1').one();
      const { n } = sql.exec<{ n: number }>('SELECT count(*) AS n FROM examples').one();
      const numbers = `WITH RECURSIVE c(i) AS (SELECT ${n} UNION ALL SELECT i + 1 FROM c WHERE i + 1 < ${n + count})`;
      sql.exec(
        `INSERT INTO examples SELECT 'ex_' || i, base, tuned, tuned_model, source, sha256, content_type, object_key, external_id, created_at
         FROM (${numbers} SELECT i FROM c), (SELECT * FROM examples WHERE id = ?)`,
        id,
      );
      sql.exec(
        "INSERT OR IGNORE INTO memberships SELECT e.id, 1, m.labels FROM examples e, memberships m WHERE e.id GLOB 'ex_[0-9]*' AND m.example_id = ?",
        id,
      );
    });
  await add(ENROLLED_TRAINED_MAX - 1);
  const job = await newJob(key, { dataset, classifier });
  expect((await runner('lease', { host: 'h', capacity: { kinds: ['train'], device: 'cpu' }, wait_seconds: 0 })).status).toBe(204);
  const failed = await answer(await call(`/v1/training/jobs/${job.id}`, { key }), 200, Job);
  expect(failed).toMatchObject({ status: 'failed', error: { code: 'inputs_unprocessable' } });
  expect(failed.error?.detail).toContain(String(ENROLLED_TRAINED_MAX + 1));
});
