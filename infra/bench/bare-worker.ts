/**
 * The bare comparison: a Worker that does nothing but run the same graphs on a tensor that it already holds. No decoder, tokeniser, key, head, D1 or
 * Durable Object; the runtime and its settings are those of functions/inference.
 *
 * `PUT /tensor/<name>?dims=1,3,224,224` keeps the body; `POST /run/<backbone>/<name>` runs trunk and tail once; `GET /` does nothing.
 */
import { BackboneManifest } from '../../shared/catalogue.ts';
import { Graph, readGraph, type GraphSource } from '../../functions/inference/graph.ts';
import { ort } from '../../functions/inference/ort.ts';

type Bindings = { readonly FILES: Fetcher };
type Opened = { readonly trunk: Graph; readonly tail: Graph };

const tensors = new Map<string, ort.Tensor>();
const opened = new Map<string, Opened>();

async function open(env: Bindings, id: string): Promise<Opened> {
  const read = async (key: string): Promise<Uint8Array | null> => {
    const response = await env.FILES.fetch(`http://files/${key}`);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  };
  const text = await read(`${id}/manifest.json`);
  if (!text) throw new Error(`no backbone ${id}`);
  const manifest = BackboneManifest.parse(JSON.parse(new TextDecoder().decode(text)));
  const source = (graph: BackboneManifest['trunk']): GraphSource => ({
    model: { ...graph.model, key: `${id}/${graph.model.name}` },
    data: graph.data && { ...graph.data, key: `${id}/${graph.data.name}` },
  });
  const trunk = await Graph.open(await readGraph(read, source(manifest.trunk)));
  return { trunk, tail: await Graph.open(await readGraph(read, source(manifest.tail))) };
}

async function run(env: Bindings, id: string, name: string): Promise<Response> {
  const tensor = tensors.get(name);
  if (!tensor) return new Response(`no tensor ${name}`, { status: 404 });
  let graphs = opened.get(id);
  if (!graphs) opened.set(id, (graphs = await open(env, id)));
  const embedding = await graphs.tail.run(await graphs.trunk.run(tensor));
  return Response.json({ dimension: embedding.data.length });
}

// The platform demands a default export with these handlers.
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [, verb, first = '', second = ''] = url.pathname.split('/');
    if (verb === 'run') return await run(env, first, second);
    if (verb !== 'tensor') return new Response();
    const body = await request.arrayBuffer();
    const dims = (url.searchParams.get('dims') ?? '').split(',').map(Number);
    tensors.set(
      first,
      dims.length === 4 ? new ort.Tensor('float32', new Float32Array(body), dims) : new ort.Tensor('int64', new BigInt64Array(body), dims),
    );
    return new Response();
  },
} satisfies ExportedHandler<Bindings>;
