/** `npm run demo`: the whole road over plain HTTP on real pictures and mails. Each step prints its figures; a false claim ends with exit 1. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { NewKey, Tenant } from '../../shared/wire/tenants.ts';
import { STATE } from '../paths.ts';
import { whileRunning } from '../progress.ts';
import { ensureSetup } from '../setup/main.ts';
import { startStack, type Stack } from '../stack.ts';
import { Client } from './client.ts';
import { teachMails, teachPictures } from './edge.ts';
import { makeTelling, percent, table, type Telling } from './telling.ts';
import { listen, serveAndRollBack, train, uploadPictures, type Listener } from './training.ts';

async function newTenant(stack: Stack, name: string): Promise<Client> {
  const operator = new Client(stack.url, stack.operatorKey);
  const tenant = await operator.send(Tenant, 'POST', '/v1/tenants', { name });
  const scopes = ['predict', 'enroll', 'train', 'admin'];
  const { key } = await operator.send(NewKey, 'POST', `/v1/tenants/${tenant.id}/keys`, { name: 'demo', scopes });
  return new Client(stack.url, key);
}

async function story(stack: Stack, tell: Telling): Promise<void> {
  tell.step('1. Two tenants, a key for each');
  const [mine, theirs] = [await newTenant(stack, 'first'), await newTenant(stack, 'second')];
  tell.note('url', stack.url, `Graft answers at ${stack.url}`);
  const { classifier, version } = await teachPictures(mine, theirs, tell);
  await teachMails(mine, tell);
  let listener: Listener | null = null;
  try {
    listener = await listen(mine);
    const dataset = await uploadPictures(mine, tell);
    const result = await train(mine, { dataset, classifier, listener }, tell);
    await serveAndRollBack(mine, { classifier, old: version, result }, tell);
    const { candidate, incumbent, frozen } = result.metrics;
    const summary = [
      [
        'held-out accuracy',
        `${percent(candidate.accuracy.value)} candidate, ${incumbent ? percent(incumbent.accuracy.value) : '–'} incumbent, ${percent(frozen.accuracy.value)} frozen`,
      ],
      ['decision', result.decision],
      ['training', `${result.seconds.toFixed(0)} s on ${result.device}`],
    ];
    tell.note('summary', Object.fromEntries(summary), `\n${table(summary)}`);
  } finally {
    listener?.close();
  }
}

const started = Date.now();
const json = process.argv.includes('--json');
const tell = makeTelling(json);
let code = 0;
let stack: Stack | null = null;
try {
  await ensureSetup();
  const dataDir = join(STATE, `demo-${process.pid}`);
  rmSync(dataDir, { recursive: true, force: true });
  stack = await whileRunning('starting object storage, the Worker and a trainer host', startStack({ dataDir, onProgress: () => undefined }));
  try {
    await story(stack, tell);
  } finally {
    await stack.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
  const seconds = Math.round((Date.now() - started) / 1_000);
  tell.note('seconds', seconds, `all of it: ${seconds} s`);
  if (json) process.stdout.write(`${JSON.stringify(tell.facts)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  code = 1;
}
process.exit(code);
