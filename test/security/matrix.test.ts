/**
 * Every operation of the public document × every kind of key. The table says who may call what; an operation that the table does not know fails the
 * first test, so no route gets in without a decision.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '../../shared/errors.ts';
import { SCOPES, type Scope } from '../../shared/wire/scopes.ts';
import { Classifier } from '../../shared/wire/classifiers.ts';
import { EnrollAnswer } from '../../shared/wire/examples.ts';
import { Job } from '../../shared/wire/jobs.ts';
import { Upload } from '../../shared/wire/datasets.ts';
import { Dataset } from '../../shared/wire/datasets.ts';
import { WebhookWithSecret } from '../../shared/wire/webhooks.ts';
import { answer, call, newKey, newTenant, OPERATOR, problem } from '../setup/harness.ts';
import { newJob, publishTinyBackbone, readyDataset, RUNNER } from '../setup/training.ts';

/** Who may call: anyone, the operator, any key of a tenant, or keys with one of these scopes (`admin` always). */
type Who = 'anyone' | 'operator' | 'any_key' | readonly Scope[];

const WHO: Record<string, Who> = {
  'get /healthz': 'anyone',
  'get /readyz': 'anyone',
  'post /v1/tenants': 'operator',
  'post /v1/tenants/{id}/keys': 'operator',
  'post /v1/keys': ['admin'],
  'get /v1/keys': ['admin'],
  'delete /v1/keys/{id}': ['admin'],
  'get /v1/usage': 'any_key',
  'get /v1/backbones': 'any_key',
  'post /v1/backbones': 'operator',
  'delete /v1/backbones/{id}': 'operator',
  'post /v1/classifiers': ['enroll'],
  'get /v1/classifiers': 'any_key',
  'get /v1/classifiers/{id}': 'any_key',
  'patch /v1/classifiers/{id}': ['enroll'],
  'delete /v1/classifiers/{id}': ['enroll'],
  'get /v1/classifiers/{id}/report': 'any_key',
  'post /v1/classifiers/{id}/examples': ['enroll'],
  'get /v1/classifiers/{id}/examples': 'any_key',
  'get /v1/classifiers/{id}/examples/{example}': 'any_key',
  'patch /v1/classifiers/{id}/examples/{example}': ['enroll'],
  'delete /v1/classifiers/{id}/examples/{example}': ['enroll'],
  'patch /v1/classifiers/{id}/labels/{name}': ['enroll'],
  'delete /v1/classifiers/{id}/labels/{name}': ['enroll'],
  'get /v1/classifiers/{id}/review': 'any_key',
  'post /v1/classifiers/{id}/review/{item}': ['enroll'],
  'delete /v1/classifiers/{id}/review/{item}': ['enroll'],
  'post /v1/classifiers/{id}/predict': ['predict'],
  'post /v1/classifiers/{id}/verify': ['predict'],
  'post /v1/classifiers/{id}/adapt': ['enroll'],
  'post /v1/predict': ['predict'],
  'get /v2': 'anyone',
  'get /v2/health/live': 'anyone',
  'get /v2/health/ready': 'anyone',
  'get /v2/models/{id}': 'any_key',
  'get /v2/models/{id}/ready': 'any_key',
  'post /v2/models/{id}/infer': ['predict'],
  'get /v2/models/{id}/versions/{n}': 'any_key',
  'get /v2/models/{id}/versions/{n}/ready': 'any_key',
  'post /v2/models/{id}/versions/{n}/infer': ['predict'],
  'get /v1/classifiers/{id}/versions': 'any_key',
  'get /v1/classifiers/{id}/versions/{n}': 'any_key',
  'post /v1/classifiers/{id}/versions/{n}/activate': ['enroll'],
  'get /v1/classifiers/{id}/versions/{n}/export': ['enroll', 'train'],
  'post /v1/datasets': ['train'],
  'get /v1/datasets': ['train'],
  'get /v1/datasets/{id}': ['train'],
  'delete /v1/datasets/{id}': ['train'],
  'get /v1/datasets/{id}/quality': ['train'],
  'get /v1/datasets/{id}/quality.jsonl': ['train'],
  'post /v1/datasets/{id}/uploads': ['train'],
  'get /v1/datasets/{id}/uploads/{upload}': ['train'],
  'post /v1/datasets/{id}/uploads/{upload}/complete': ['train'],
  'post /v1/datasets/{id}/uploads/{upload}/abort': ['train'],
  'post /v1/advice': ['train'],
  'post /v1/training/jobs': ['train'],
  'get /v1/training/jobs': ['train'],
  'get /v1/training/jobs/{id}': ['train'],
  'post /v1/training/jobs/{id}/cancel': ['train'],
  'post /v1/training/jobs/{id}/pause': ['train'],
  'post /v1/training/jobs/{id}/resume': ['train'],
  'get /v1/training/jobs/{id}/events': ['train'],
  'get /v1/training/jobs/{id}/checkpoints': ['train'],
  'get /v1/models': ['train'],
  'get /v1/models/{id}': ['train'],
  'delete /v1/models/{id}': ['train'],
  'get /v1/models/{id}/files/{name}': ['train'],
  'get /v1/events': ['train', 'enroll'],
  'post /v1/webhooks': ['admin'],
  'get /v1/webhooks': ['admin'],
  'get /v1/webhooks/{id}': ['admin'],
  'patch /v1/webhooks/{id}': ['admin'],
  'delete /v1/webhooks/{id}': ['admin'],
  'post /v1/webhooks/{id}/rotate-secret': ['admin'],
  'post /v1/webhooks/{id}/test': ['admin'],
  'get /v1/webhooks/{id}/deliveries': ['admin'],
  'post /v1/webhooks/{id}/deliveries/{delivery}/redeliver': ['admin'],
};

const keys = {} as Record<Scope | 'none', string>;
let stranger = '';
/** Ids of one tenant's things, by the collection that they are in. */
let owned: Record<string, Record<string, string>> = {};

beforeAll(async () => {
  const mine = await newTenant(['admin']);
  for (const scope of SCOPES) keys[scope] = (await newKey(mine.key, [scope])).key;
  stranger = (await newTenant()).key;
  await publishTinyBackbone();
  const vector = { name: 'mine', modality: 'vector', dimension: 4 };
  const classifier = await answer(await call('/v1/classifiers', { key: mine.key, json: vector }), 201, Classifier);
  const examples = [{ label: 'a', vector: [1, 0, 0, 0] }];
  const enrolled = await answer(await call(`/v1/classifiers/${classifier.id}/examples`, { key: mine.key, json: { examples } }), 201, EnrollAnswer);
  const dataset = await readyDataset(mine.key);
  const job = Job.parse(await newJob(mine.key, { dataset: dataset.id }));
  const open = { name: 'open', modality: 'image', format: 'imagefolder' };
  const waiting = await answer(await call('/v1/datasets', { key: mine.key, json: open }), 201, Dataset);
  const asked = { filename: 'a.zip', bytes: 100 };
  const upload = await answer(await call(`/v1/datasets/${waiting.id}/uploads`, { key: mine.key, json: asked }), 201, Upload);
  const hook = { url: 'https://example.com/hook' };
  const webhook = await answer(await call('/v1/webhooks', { key: mine.key, json: hook }), 201, WebhookWithSecret);
  owned = {
    keys: { id: mine.keyId },
    classifiers: { id: classifier.id, example: enrolled.data[0]!.id, name: 'a', n: String(enrolled.version) },
    datasets: { id: waiting.id, upload: upload.upload_id },
    training: { id: job.id },
    webhooks: { id: webhook.id, delivery: 'dlv_nobody' },
    models: { id: 'mdl_nobody', name: 'model.onnx' },
    tenants: { id: mine.tenant },
  };
});

const operations = Object.keys(WHO);
const guarded = operations.filter((operation) => WHO[operation] !== 'anyone');
/** The path with ids that exist and belong to the tenant, or with ids that nobody has. */
function pathOf(operation: string, real: boolean): string {
  const path = operation.slice(operation.indexOf(' ') + 1);
  const [, root, collection = ''] = path.split('/');
  // What the Open Inference Protocol calls a model is a classifier.
  const ids = owned[root === 'v2' ? 'classifiers' : collection] ?? {};
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => (real ? (ids[name] ?? name) : 'nobody'));
}
/** An empty body: a caller who may call gets past the door and is told what is missing; nothing is changed. */
async function knock(operation: string, key: string | null, real = false): Promise<Response> {
  const method = operation.slice(0, operation.indexOf(' ')).toUpperCase();
  const json = ['POST', 'PATCH'].includes(method) ? { json: {} } : {};
  return await call(pathOf(operation, real), { method, key, ...json });
}

it('knows every operation of the public document', async () => {
  const document = await (await call('/openapi.json')).json<{ paths: Record<string, Record<string, unknown>> }>();
  const published = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => ['get', 'put', 'post', 'patch', 'delete'].includes(method))
      .map((method) => `${method} ${path}`),
  );
  expect(published.toSorted()).toEqual(operations.toSorted());
});

describe.each(guarded)('%s', (operation) => {
  const who = WHO[operation]!;

  it('is shut without a key, with a wrong one and with the trainer hosts’ token', async () => {
    const { detail } = await problem(await knock(operation, null), 'unauthorized');
    expect(detail).toContain('Authorization');
    await problem(await knock(operation, `graft_${'0'.repeat(64)}`), 'unauthorized');
    await problem(await knock(operation, RUNNER), 'unauthorized');
  });

  it('opens to the right scopes and to no other', async () => {
    for (const scope of SCOPES) {
      const allowed = who === 'any_key' || (who !== 'operator' && (scope === 'admin' || (who as readonly Scope[]).includes(scope)));
      const response = await knock(operation, keys[scope]);
      if (allowed) expect([401, 403]).not.toContain(response.status);
      else expect((await problem(response, 'forbidden')).detail).toMatch(who === 'operator' ? /operator/ : new RegExp(scope));
    }
    const operator = await knock(operation, OPERATOR);
    if (who === 'operator') expect([401, 403]).not.toContain(operator.status);
    else await problem(operator, 'forbidden');
  });

  if (who !== 'operator' && operation.includes('{'))
    it('answers another tenant as if the thing did not exist', async () => {
      const [real, made] = [await knock(operation, stranger, true), await knock(operation, stranger, false)];
      expect(real.status).toBe(made.status);
      // A body that is judged before the id is the same for both; everything else is 404.
      expect([404, 422, 400]).toContain(real.status);
      const [one, other] = [Problem.parse(await real.json()), Problem.parse(await made.json())];
      expect(one.code).toBe(other.code);
      expect(one.title).toBe(other.title);
    });
});

describe('the trainer hosts’ door', () => {
  it.each([
    'lease',
    'leases/x/heartbeat',
    'leases/x/events',
    'leases/x/artifacts',
    'leases/x/part',
    'leases/x/join',
    'leases/x/checkpoint',
    'leases/x/complete',
    'leases/x/fail',
  ])('%s takes their token only', async (path) => {
    for (const key of [null, keys.admin, OPERATOR]) await problem(await call(`/runner/v1/${path}`, { key, json: {} }), 'unauthorized');
    expect((await call(`/runner/v1/${path}`, { key: RUNNER, json: {} })).status).not.toBe(401);
  });

  it('is not in the public document', async () => {
    expect(await (await call('/openapi.json')).text()).not.toContain('/runner/');
  });
});

describe('what nobody may', () => {
  it('gives a key more than its maker has', async () => {
    const { key } = await newTenant(['enroll']);
    await problem(await call('/v1/keys', { key, json: { name: 'more', scopes: ['admin'] } }), 'forbidden');
  });

  it('tells secrets in errors, even when they are sent in the wrong place', async () => {
    const response = await call('/v1/classifiers', { key: keys.admin, json: { name: 'x', modality: 'vector', dimension: 4, secret: keys.admin } });
    expect(await response.text()).not.toContain(keys.admin);
  });

  it('tells of no cause in our code when a path cannot be read', async () => {
    const { detail } = await problem(await call('/v1/classifiers/%E0%A4%A', { key: keys.admin }), 'not_found');
    expect(detail).not.toMatch(/Error|at .*\.ts/);
  });
});
