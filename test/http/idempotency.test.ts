/** `Idempotency-Key`: one effect, the first answer again, and no answer given to another request. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { UPLOAD_MAX_BYTES } from '../../shared/limits.ts';
import { Dataset } from '../../shared/wire/datasets.ts';
import { listOf } from '../../shared/wire/page.ts';
import { Key, NewKey } from '../../shared/wire/tenants.ts';
import { answer, call, newTenant, problem } from '../setup/harness.ts';

const database = (env as unknown as { DB: D1Database }).DB;
const json = { name: 'once', scopes: ['predict'] };
const create = async (key: string, idempotencyKey: string, body: unknown = json) =>
  await call('/v1/keys', { key, json: body, headers: { 'idempotency-key': idempotencyKey } });
const count = async (key: string) => (await answer(await call('/v1/keys', { key }), 200, listOf(Key, 'KeyList'))).data.length;

describe('Idempotency-Key', () => {
  it('replays the first answer and creates nothing twice', async () => {
    const { key } = await newTenant();
    const first = await create(key, 'a');
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    const made = await answer(first, 201, NewKey);
    const again = await create(key, 'a');
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await answer(again, 201, NewKey)).toEqual(made);
    expect(await count(key)).toBe(2);
  });

  it('keeps the secret of the answer sealed', async () => {
    const { key, tenant } = await newTenant();
    const made = await answer(await create(key, 'sealed'), 201, NewKey);
    const rows = await database.prepare('select * from idempotency where tenant_id = ?').bind(tenant).all();
    expect(rows.results).toHaveLength(1);
    expect(JSON.stringify(rows.results)).not.toContain(made.key);
  });

  it('refuses the key with another body, and belongs to one tenant', async () => {
    const [one, two] = [await newTenant(), await newTenant()];
    const made = await answer(await create(one.key, 'b'), 201, NewKey);
    await problem(await create(one.key, 'b', { ...json, name: 'else' }), 'idempotency_mismatch');
    const others = await answer(await create(two.key, 'b'), 201, NewKey);
    expect(others.id).not.toBe(made.id);
  });

  it('lets exactly one of many at once create', async () => {
    const { key } = await newTenant();
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await create(key, 'race')));
    const statuses = answers.map((a) => a.status);
    expect(statuses.every((s) => s === 201 || s === 409)).toBe(true);
    expect(await count(key)).toBe(2);
  });

  it('keeps a deterministic refusal and forgets one that may change', async () => {
    const { key } = await newTenant();
    await problem(await create(key, 'bad', { name: '' }), 'invalid_request');
    const replay = await create(key, 'bad', { name: '' });
    expect(replay.headers.get('idempotency-replayed')).toBe('true');
    expect(replay.status).toBe(400);
  });

  it('survives a request that died holding the lock', async () => {
    const { key, tenant } = await newTenant();
    await answer(await create(key, 'crash'), 201, NewKey);
    const die = async (lockedUntil: number) =>
      await database
        .prepare("update idempotency set status = 'in_flight', response_status = null, locked_until = ? where tenant_id = ?")
        .bind(lockedUntil, tenant)
        .run();
    await die(Date.now() + 60_000);
    const busy = await create(key, 'crash');
    expect(busy.headers.get('retry-after')).toBe('1');
    await problem(busy, 'idempotency_in_flight');
    await die(Date.now() - 1);
    await problem(await create(key, 'crash', { ...json, name: 'else' }), 'idempotency_mismatch');
    expect((await create(key, 'crash')).status).toBe(201);
  });

  it('keeps an answer that is longer than a row of D1, which holds 2 MB', async () => {
    const { key, tenant } = await newTenant();
    const dataset = { name: 'large', modality: 'image', format: 'imagefolder' };
    const { id } = await answer(await call('/v1/datasets', { key, json: dataset }), 201, Dataset);
    const open = async () =>
      await call(`/v1/datasets/${id}/uploads`, {
        key,
        json: { filename: `${'x'.repeat(251)}.zip`, bytes: UPLOAD_MAX_BYTES },
        headers: { 'idempotency-key': 'large' },
      });
    const made = await open();
    const first = await made.text();
    expect([made.status, first.length > 2_000_000]).toEqual([201, true]);
    const row = 'select length(response_body) as chars from idempotency where tenant_id = ?';
    expect((await database.prepare(row).bind(tenant).first<{ chars: number }>())?.chars).toBeLessThan(1_000_000);
    const again = await open();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await again.text()) === first).toBe(true);
  });

  it('forgets after a day', async () => {
    const { key, tenant } = await newTenant();
    const first = await answer(await create(key, 'old'), 201, NewKey);
    await database.prepare('update idempotency set created_at = created_at - 86401000 where tenant_id = ?').bind(tenant).run();
    expect((await answer(await create(key, 'old'), 201, NewKey)).id).not.toBe(first.id);
  });
});
