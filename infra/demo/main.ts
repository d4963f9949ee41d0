/** `npm run demo`: the road end to end over plain HTTP on the picture pack. Each step prints its figures; a false claim ends with exit 1. */
import { createServer } from 'node:http';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import yazl from 'yazl';
import { ROOT, STATE } from '../paths.ts';
import { ensureSetup } from '../setup/main.ts';
import { startStack } from '../stack.ts';

type Json = Record<string, any>;
const json = process.argv.includes('--json');
const facts: Json = {};
const say = (text: string): void => void (json ? process.stderr : process.stdout).write(`${text}\n`);
const note = (name: string, value: unknown): void => {
  facts[name] = value;
  say(`  ${name}: ${JSON.stringify(value)}`);
};
function claim(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}
const PACK = join(ROOT, 'test/pack');
const picture = (label: string, i: number): Buffer => {
  const folder = join(PACK, 'classes', label);
  return readFileSync(join(folder, readdirSync(folder).toSorted()[i]!));
};

const started = Date.now();
await ensureSetup();
const data = join(STATE, 'demo');
rmSync(data, { recursive: true, force: true });
const stack = await startStack({ dataDir: data, onProgress: say });
const call = async (key: string, method: string, path: string, body?: Json | Buffer): Promise<Json> => {
  const raw = Buffer.isBuffer(body);
  const response = await fetch(stack.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body ? { 'content-type': raw ? 'image/png' : 'application/json' } : {}) },
    ...(body ? { body: raw ? new Uint8Array(body) : JSON.stringify(body) } : {}),
  });
  const text = await response.text();
  if (!response.ok) throw Object.assign(new Error(`${method} ${path}: ${response.status} ${text}`), { status: response.status });
  return text ? (JSON.parse(text) as Json) : {};
};
try {
  say('1. Tenants and keys');
  const tenant = async (name: string): Promise<string> => {
    const t = await call(stack.operatorKey, 'POST', '/v1/tenants', { name });
    return (await call(stack.operatorKey, 'POST', `/v1/tenants/${t['id']}/keys`, { name: 'demo', scopes: ['predict', 'enroll', 'train', 'admin'] }))[
      'key'
    ] as string;
  };
  const key = await tenant('first');
  const other = await tenant('second');

  say('2. Five classes, three pictures each');
  const labels = ['bird', 'building', 'clothing', 'mammal', 'vehicle'];
  const cls = (await call(key, 'POST', '/v1/classifiers', { name: 'pictures', modality: 'image' }))['id'] as string;
  const examples = labels.flatMap((label) => [0, 1, 2].map((i) => ({ label, image: picture(label, i).toString('base64') })));
  const enrolled = await call(key, 'POST', `/v1/classifiers/${cls}/examples`, { examples });
  const first = await call(key, 'POST', `/v1/classifiers/${cls}/predict?min_version=${enrolled['version']}`, picture('vehicle', 5));
  note('first prediction', { version: first['version'], label: first['label'], best: first['scores'][0] });
  claim(first['version'] >= enrolled['version'], 'the next prediction uses the new examples');
  const probes = readdirSync(join(PACK, 'probes')).toSorted();
  let unknown = 0;
  for (const p of probes)
    if ((await call(key, 'POST', `/v1/classifiers/${cls}/predict`, readFileSync(join(PACK, 'probes', p))))['unknown']) unknown++;
  note('unrelated pictures that came back unknown', `${unknown} of ${probes.length}`);
  claim(unknown > 0, 'an unrelated picture comes back unknown');
  const wrong = await call(key, 'POST', `/v1/classifiers/${cls}/examples`, {
    examples: [{ label: 'bird', image: picture('mammal', 8).toString('base64') }],
  });
  const fixed = await call(key, 'PATCH', `/v1/classifiers/${cls}/examples/${wrong['data'][0].id}`, { label: 'mammal' });
  const after = await call(key, 'POST', `/v1/classifiers/${cls}/predict`, picture('mammal', 8));
  note('after correcting a wrong label', { label: after['label'] ?? after['scores'][0].label, version: after['version'] });
  claim(after['scores'][0].label === 'mammal' && fixed['id'] !== undefined, 'the corrected label shows');
  const hidden = await call(other, 'GET', `/v1/classifiers/${cls}`).catch((e: { status: number }) => e.status);
  claim(hidden === 404, 'a second tenant cannot see the classifier');

  say('3. Text from label names alone');
  const text = (
    await call(key, 'POST', '/v1/classifiers', {
      name: 'mail',
      modality: 'text',
      labels: [
        { name: 'spam', description: 'unwanted advertising, prizes and offers of money' },
        { name: 'ham', description: 'a personal or work message' },
      ],
    })
  )['id'] as string;
  const zero = await call(key, 'POST', `/v1/classifiers/${text}/predict`, { text: 'Congratulations, you have won a cash prize, claim it today!!!' });
  note('zero-shot', zero['scores']);
  claim(zero['scores'][0].label === 'spam', 'the label names tell spam apart');

  say('4. A webhook and a dataset');
  const received: Json[] = [];
  let secret = '';
  const listener = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      received.push(new Webhook(secret).verify(Buffer.concat(parts).toString(), request.headers as Record<string, string>) as Json);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address() as { port: number };
  secret = (await call(key, 'POST', '/v1/webhooks', { url: `http://127.0.0.1:${address.port}/hook`, events: ['training.job.succeeded'] }))[
    'secret'
  ] as string;
  const zip = new yazl.ZipFile();
  for (const label of readdirSync(join(PACK, 'classes')))
    for (const f of readdirSync(join(PACK, 'classes', label))) zip.addFile(join(PACK, 'classes', label, f), `${label}/${f}`);
  zip.addBuffer(picture('bird', 0).subarray(0, 400), 'bird/broken.png');
  zip.addBuffer(picture('bird', 1), 'bird/zz-copy.png');
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(part as Buffer);
  const bytes = Buffer.concat(parts);
  const ds = (await call(key, 'POST', '/v1/datasets', { name: 'pack', modality: 'image', format: 'imagefolder' }))['id'] as string;
  const up = await call(key, 'POST', `/v1/datasets/${ds}/uploads`, { filename: 'pack.zip', bytes: bytes.length });
  const etags: Json[] = [];
  for (const p of up['parts'] as { number: number; url: string }[]) {
    const put = await fetch(p.url, {
      method: 'PUT',
      body: new Uint8Array(bytes.subarray((p.number - 1) * up['part_bytes'], p.number * up['part_bytes'])),
    });
    claim(put.ok, `part ${p.number} is stored (${put.status})`);
    etags.push({ number: p.number, etag: put.headers.get('etag') });
  }
  await call(key, 'POST', `/v1/datasets/${ds}/uploads/${up['upload_id']}/complete`, { parts: etags });
  let dataset = await call(key, 'GET', `/v1/datasets/${ds}`);
  while (dataset['status'] === 'validating' || dataset['status'] === 'awaiting_upload') {
    await sleep(500);
    dataset = await call(key, 'GET', `/v1/datasets/${ds}`);
  }
  note('dataset', { status: dataset['status'], errors: dataset['errors'] });
  const named = (dataset['errors'] as { file?: string }[]).map((e) => e.file);
  claim(
    dataset['status'] === 'ready' && named.includes('bird/broken.png') && named.includes('bird/zz-copy.png'),
    'the report names the broken and the repeated picture',
  );

  say('5. Training');
  const job = (
    await call(key, 'POST', '/v1/training/jobs', { dataset: ds, classifier: cls, method: { type: 'auto', epochs: 8, augment_views: 2 }, seed: 7 })
  )['id'] as string;
  let state = await call(key, 'GET', `/v1/training/jobs/${job}`);
  while (!['succeeded', 'failed', 'cancelled'].includes(state['status'] as string)) {
    await sleep(2_000);
    state = await call(key, 'GET', `/v1/training/jobs/${job}`);
    say(`  ${state['status']} ${JSON.stringify(state['progress'])}`);
  }
  claim(state['status'] === 'succeeded', `the job succeeds: ${JSON.stringify(state['error'])}`);
  note('decision', { decision: state['result'].decision, reasons: state['result'].reasons, metrics: state['result'].metrics });
  for (let i = 0; i < 60 && received.length === 0; i++) await sleep(500);
  note('webhook', received[0]?.['type']);
  claim(received[0]?.['type'] === 'training.job.succeeded', 'the signed webhook arrives and verifies');
  listener.close();

  say('6. Serving and rolling back');
  const versions = (await call(key, 'GET', `/v1/classifiers/${cls}/versions`))['data'] as Json[];
  const served = await call(key, 'POST', `/v1/classifiers/${cls}/predict?min_version=${versions[0]!['n']}`, picture('vehicle', 5));
  note('served by', { version: served['version'], label: served['label'] });
  await call(key, 'POST', `/v1/classifiers/${cls}/versions/${enrolled['version']}/activate`);
  const back = await call(key, 'POST', `/v1/classifiers/${cls}/predict`, picture('vehicle', 5));
  note('after one call back', { version: back['version'], label: back['label'] });
  claim(back['version'] === enrolled['version'], 'the old version serves again');
  note('seconds', Math.round((Date.now() - started) / 1_000));
  if (json) process.stdout.write(`${JSON.stringify(facts)}\n`);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  await stack.stop();
}
process.exit();
