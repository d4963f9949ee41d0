/** What needs no key: health, readiness, the document and its reference. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ERRORS } from '../../shared/errors.ts';
import { Health, Readiness } from '../../shared/wire/meta.ts';
import { answer, bindings, call, problem } from '../setup/harness.ts';
import { deps } from '../setup/training.ts';

const Document = z.object({
  openapi: z.literal('3.1.0'),
  webhooks: z.record(z.string(), z.unknown()),
  paths: z.record(z.string(), z.record(z.string(), z.looseObject({ operationId: z.string(), responses: z.record(z.string(), z.unknown()) }))),
  components: z.object({ schemas: z.record(z.string(), z.unknown()), securitySchemes: z.record(z.string(), z.unknown()) }),
});

/** Every `pattern` of a document. */
function patternsIn(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'pattern' && typeof inner === 'string') found.add(inner);
    else patternsIn(inner, found);
  }
  return found;
}

describe('meta', () => {
  it('says what is ready and what is not', async () => {
    await answer(await call('/healthz'), 200, Health);
    const state = await answer(await call('/readyz'), bindings.HAS_BACKBONES ? 200 : 503, Readiness);
    expect(state.parts.map((part) => [part.name, part.ready])).toEqual([
      ['database', true],
      ['object_storage', true],
      ['backbones', bindings.HAS_BACKBONES],
    ]);
  });

  it('is not ready while the database is older than the code', async () => {
    await deps.d1.prepare('alter table work drop column told').run();
    const state = await answer(await call('/readyz'), 503, Readiness);
    await deps.d1.prepare('alter table work add told integer default 0 not null').run();
    expect(state.parts[0]).toMatchObject({ name: 'database', ready: false });
    expect(state.parts[0]?.detail).toContain('told');
  });

  it('publishes a document in which every reference resolves and every call names its errors', async () => {
    const response = await call('/openapi.json');
    const text = await response.clone().text();
    const document = await answer(response, 200, Document);
    const names = new Set(Object.keys(document.components.schemas));
    const references = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((m) => m[1] ?? '');
    expect(references.length).toBeGreaterThan(50);
    expect(references.filter((name) => !names.has(name))).toEqual([]);
    for (const name of ['Classifier', 'Prediction', 'EnrollAnswer', 'ClassifierVersion', 'Problem', 'NewKey', 'Usage', 'Backbone', 'Report'])
      expect(names.has(name), name).toBe(true);
    const ids: string[] = [];
    for (const [path, item] of Object.entries(document.paths)) {
      expect(path.startsWith('/runner/')).toBe(false);
      for (const operation of Object.values(item)) {
        ids.push(operation.operationId);
        if (path.startsWith('/v1/'))
          expect(Object.keys(operation.responses), operation.operationId).toEqual(expect.arrayContaining(['401', '403', '429', '500']));
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('publishes what may be null as something that null fits', async () => {
    const document = await answer(await call('/openapi.json'), 200, Document);
    const result = JSON.stringify(document.components.schemas['TrainingJobResult']);
    expect(result).toContain('"incumbent":{"anyOf":[{"$ref":"#/components/schemas/Metrics"},{"type":"null"}]}');
    // All of a component and of something else is never null, whatever that something allows.
    expect(JSON.stringify(document)).not.toContain('"allOf":[{"$ref"');
  });

  it('publishes patterns that clients in other languages can read and that real names fit', async () => {
    const document = await answer(await call('/openapi.json'), 200, Document);
    const patterns = patternsIn(document);
    expect(patterns.size).toBeGreaterThan(5);
    // Without flags, and nothing that only some engines know.
    for (const pattern of patterns) expect(() => new RegExp(pattern)).not.toThrow();
    expect([...patterns].filter((pattern) => /\$\/|\\p\{/.test(pattern))).toEqual([]);
    const label = new RegExp((document.components.schemas['LabelName'] as { pattern: string }).pattern);
    for (const name of ['bird', 'a/b', 'café', '日本', '🙂 fine']) expect(label.test(name), name).toBe(true);
    for (const name of ['tab\there', 'nul\u0000', 'next\u0085line']) expect(label.test(name), name).toBe(false);
    const upload = document.components.schemas['CreateUploadRequest'] as { properties: { filename: { pattern: string } } };
    const filename = new RegExp(upload.properties.filename.pattern);
    expect(['mails.jsonl', 'données.csv', '..', 'a/b.zip'].filter((name) => filename.test(name))).toEqual(['mails.jsonl', 'données.csv']);
  });

  it('documents what receivers of webhooks get, signatures and all', async () => {
    const document = await answer(await call('/openapi.json'), 200, Document);
    expect(Object.keys(document.webhooks)).toEqual(['event']);
    expect(document.components.schemas['WebhookPayload']).toMatchObject({ required: ['type', 'timestamp', 'data'] });
    const html = await (await call('/docs')).text();
    const told = html.slice(html.indexOf('id="receiveEvent"'));
    for (const said of ['HMAC-SHA256', '<code>webhook-signature</code>', '5 s, 5 min, 30 min, 2 h']) expect(told).toContain(said);
  });

  it('renders the reference without anything from elsewhere', async () => {
    const response = await call('/docs');
    const html = await response.text();
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(html).not.toMatch(/(?:src|href)="https?:/);
    for (const id of ['createClassifier', 'enrollExamples', 'predict', 'schema-Prediction']) expect(html).toContain(`id="${id}"`);
    // What has no name of its own is told where it stands.
    expect(html).toContain('<td>{ label: string, score: number }[]</td>');
    expect(html).toContain('<td>{ label: string, similarity: number } | null</td>');
    for (const said of ['Calibrated probabilities, in descending order.', 'Rows, labelled or not, of the domain that the model will meet.'])
      expect(html).toContain(said);
    const links = [...html.matchAll(/href="#([^"]+)"/g)].map((m) => m[1] ?? '');
    expect(links.filter((link) => !html.includes(`id="${link}"`))).toEqual([]);
  });

  it('has a page for every error, where its type points', async () => {
    const body = await problem(await call('/v1/nothing'), 'not_found');
    expect(new URL(body.type).pathname).toBe('/errors/not_found');
    for (const code of Object.keys(ERRORS)) expect((await call(`/errors/${code}`)).status, code).toBe(200);
    await problem(await call('/errors/constructor'), 'not_found');
  });

  it('serves a console that runs its own script alone and asks for nothing that the document does not name', async () => {
    const response = await call('/');
    const html = await response.text();
    const script = /<script>([^]*?)<\/script>/.exec(html)?.[1] ?? '';
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(script))).toString('base64');
    const policy = response.headers.get('content-security-policy');
    expect(policy).toContain(`script-src 'sha256-${digest}';`);
    expect(policy).toContain("default-src 'none'");
    expect(html).not.toMatch(/(?:src|href)="https?:| on[a-z]+="/);
    const { paths } = await answer(await call('/openapi.json'), 200, Document);
    const asked = [...script.matchAll(/api\('([A-Z]+)', (?:'([^'?]+)[^']*'|path \+ '([^']+)')/g)];
    const calls = asked.map(
      ([, method, whole, part]) => [method!.toLowerCase(), whole?.replace(/\/$/, '/{id}') ?? `/v1/classifiers/{id}${part}`] as const,
    );
    expect(calls.length).toBeGreaterThan(5);
    for (const [method, path] of calls) expect(Object.keys(paths[path] ?? {}), path).toContain(method);
  });
});
