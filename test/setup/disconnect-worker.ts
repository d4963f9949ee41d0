/** A Worker for test/infra/disconnects.test.ts: what requests of one isolate wait for together, over I/O that takes as long as the test wants. */
import type { Catalogue } from '../../functions/inference/catalogue.ts';
import { makeEncoder } from '../../functions/inference/encoder.ts';
import { Heads } from '../../functions/inference/heads.ts';
import { RunQueue } from '../../functions/inference/run-queue.ts';
import { TunedNetworks } from '../../functions/inference/tuned-networks.ts';

type Env = { readonly SLOW: string };
let env: Env;
const slow = async (what: string) => await (await fetch(`${env.SLOW}/${what}`)).text();

const read = async () => (await slow('networks'), null);
const catalogue: Catalogue = { get: read, list: async () => [], forget: () => undefined };
const encoder = makeEncoder({ catalogue: { ...catalogue, get: async () => (await slow('encoder'), null) }, read, findNetwork: async () => null });
const heads = new Heads(
  async () => (await slow('heads'), { version: 1, newest: 1, model: null, head: null }),
  () => Date.now(),
);
const queue = new RunQueue();
const file = { name: 'tail.onnx', key: 'x', sha256: '', bytes: 1 };
const networks = new TunedNetworks(read, async () => ({ trunk: null, tail: { model: file, data: null } }), new RunQueue());

const waits: Readonly<Record<string, () => Promise<unknown>>> = {
  '/heads': async () => await heads.get('cls', 0),
  '/encoder': async () => await encoder.encode({ kind: 'text', text: 'x' }, { backbone: 'all-minilm-l6-v2', model: null }),
  '/networks': async () => await networks.with('mdl', async () => 'used'),
  '/queue': async () => await queue.run(async () => await slow('queue')),
};

// The platform demands a default export.
export default {
  async fetch(request: Request, given: Env): Promise<Response> {
    env = given;
    const wait = waits[new URL(request.url).pathname];
    try {
      await wait?.();
      return new Response('done');
    } catch (error) {
      return new Response(`done: ${String(error)}`);
    }
  },
};
