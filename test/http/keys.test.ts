/** Tenants and keys: made, shown once, scoped, expiring, revoked; and the rules that every call shares. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { listOf } from '../../shared/wire/page.ts';
import { Key, NewKey, Tenant } from '../../shared/wire/tenants.ts';
import { Usage } from '../../shared/wire/usage.ts';
import { answer, call, newKey, newTenant, OPERATOR, problem } from '../setup/harness.ts';

const KeyList = listOf(Key, 'KeyList');
const database = (env as unknown as { DB: D1Database }).DB;

describe('tenants and keys', () => {
  it('makes a tenant and a key that works, and keeps no secret', async () => {
    const tenant = await answer(await call('/v1/tenants', { key: OPERATOR, json: { name: '  Orchard ' } }), 201, Tenant);
    expect(tenant.name).toBe('Orchard');
    const made = await call(`/v1/tenants/${tenant.id}/keys`, { key: OPERATOR, json: { name: 'first', scopes: ['admin', 'admin'] } });
    const key = await answer(made, 201, NewKey);
    expect(key.scopes).toEqual(['admin']);
    expect(key.key).toMatch(/^graft_[0-9a-f]{64}$/);
    expect(key.key.endsWith(key.hint)).toBe(true);
    const list = await answer(await call('/v1/keys', { key: key.key }), 200, KeyList);
    expect(list.data.map((k) => k.id)).toEqual([key.id]);
    expect(JSON.stringify(list)).not.toContain(key.key);
    const rows = await database.prepare('select * from keys where id = ?').bind(key.id).all();
    expect(JSON.stringify(rows.results)).not.toContain(key.key.slice(6));
  });

  it('pages through keys in order and without a gap', async () => {
    const { key, keyId } = await newTenant();
    const ids = [keyId];
    for (let i = 0; i < 4; i++) ids.push((await newKey(key, ['predict'])).id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: ReturnType<typeof KeyList.parse> = await answer(
        await call(`/v1/keys?limit=2${cursor ? `&cursor=${cursor}` : ''}`, { key }),
        200,
        KeyList,
      );
      seen.push(...page.data.map((k) => k.id));
      expect(page.has_more).toBe(page.next_cursor !== null);
      cursor = page.next_cursor;
    } while (cursor);
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect(new Set(seen).size).toBe(5);
    expect((await problem(await call('/v1/keys?cursor=bm90IG91cnM', { key }), 'invalid_request')).param).toBe('cursor');
    // Of another list: compared with ids of another kind it would give nothing, or the first page for ever.
    const { next_cursor: foreign } = await answer(await call('/v1/keys?limit=1', { key }), 200, KeyList);
    for (const list of ['classifiers', 'datasets', 'training/jobs', 'models', 'events', 'webhooks'])
      expect((await problem(await call(`/v1/${list}?cursor=${foreign}`, { key }), 'invalid_request')).param, list).toBe('cursor');
    expect((await problem(await call('/v1/keys?limit=101', { key }), 'invalid_request')).errors?.[0]?.pointer).toBe('/limit');
  });

  it('stops a revoked key at once here, and an expired one on time', async () => {
    const { key } = await newTenant();
    const other = await newKey(key, ['admin']);
    await answer(await call('/v1/usage', { key: other.key }), 200, Usage);
    expect((await call(`/v1/keys/${other.id}`, { key, method: 'DELETE' })).status).toBe(204);
    await problem(await call('/v1/usage', { key: other.key }), 'unauthorized');
    await problem(await call(`/v1/keys/${other.id}`, { key, method: 'DELETE' }), 'not_found');
    const soon = new Date(Date.now() + 4_000).toISOString();
    const short = await answer(await call('/v1/keys', { key, json: { name: 'short', scopes: ['predict'], expires_at: soon } }), 201, NewKey);
    expect((await call('/v1/usage', { key: short.key })).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, Date.parse(soon) - Date.now() + 50));
    await problem(await call('/v1/usage', { key: short.key }), 'unauthorized');
    const past = { name: 'late', scopes: ['predict'], expires_at: '2020-01-01T00:00:00Z' };
    expect((await problem(await call('/v1/keys', { key, json: past }), 'invalid_request')).param).toBe('expires_at');
  });

  it('names every fault of a body with its pointer', async () => {
    const { key } = await newTenant();
    const body = await problem(await call('/v1/keys', { key, json: { name: '', scopes: ['predict', 'fly'], more: 1 } }), 'invalid_request');
    expect(body.errors?.map((e) => e.pointer)).toEqual(expect.arrayContaining(['/name', '/scopes/1']));
    await problem(await call('/v1/keys', { key, body: '{"name": ', headers: { 'content-type': 'application/json' } }), 'malformed_json');
    await problem(await call('/v1/keys', { key, method: 'POST', body: '', headers: { 'content-type': 'application/json' } }), 'empty_body');
    await problem(await call('/v1/keys', { key, body: 'name=x', headers: { 'content-type': 'text/csv' } }), 'unsupported_media_type');
  });

  it('refuses usage for a span that makes no sense', async () => {
    const { key } = await newTenant();
    expect((await problem(await call('/v1/usage?from=2026-02-02&to=2026-02-01', { key }), 'invalid_request')).param).toBe('from');
    const vague = await problem(await call('/v1/usage?from=yesterday', { key }), 'invalid_request');
    expect(vague).toMatchObject({ param: 'from', errors: [{ pointer: '/from', detail: expect.stringContaining('YYYY-MM-DD') }] });
    // Times are taken for the UTC day that they lie in.
    const span = await answer(await call('/v1/usage?from=2026-02-01T23:30:00-02:00&to=2026-02-03T12:00:00Z', { key }), 200, Usage);
    expect(span).toMatchObject({ from: '2026-02-02', to: '2026-02-03' });
  });
});

describe('every call', () => {
  it('carries a request id in and out, and announces its rate limit', async () => {
    const { key } = await newTenant();
    const kept = await call('/v1/usage', { key, headers: { 'x-request-id': 'mine-1' } });
    expect(kept.headers.get('x-request-id')).toBe('mine-1');
    const replaced = await call('/v1/usage', { key, headers: { 'x-request-id': 'spaces are not kept' } });
    expect(replaced.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
    expect(kept.headers.get('ratelimit-policy')).toMatch(/^"default";q=\d+;w=\d+$/);
    expect(kept.headers.get('ratelimit')).toMatch(/^"default";r=\d+;t=\d+$/);
  });

  it('tells a missing path from a wrong method', async () => {
    await problem(await call('/v1/nothing'), 'not_found');
    const wrong = await call('/v1/keys/key_1', { method: 'PUT', json: {} });
    expect(wrong.headers.get('allow')).toBe('DELETE');
    await problem(wrong, 'method_not_allowed');
  });
});
