/**
 * An isolate with both shipped backbones and the cache of tenants' networks as the edge has it. `POST /<modality>/<model>` embeds the body; a model is
 * called `image-tail-7` or `text-whole-3` and has the files of the shipped network, so every one costs what a tuned one costs; `none` is the backbone alone.
 * `GET /memory` tells what is held.
 */
import { SHIPPED_BACKBONES } from '../../../shared/catalogue.ts';
import { graphSource, makeCatalogue } from '../../../functions/inference/catalogue.ts';
import { makeEncoder, type Encoder, type EncoderInput } from '../../../functions/inference/encoder.ts';

type Bindings = { readonly FILES: Fetcher };

let encoder: Encoder | undefined;

function open(env: Bindings): Encoder {
  const read = async (key: string): Promise<Uint8Array | null> => {
    const response = await env.FILES.fetch(`http://files/${key}`);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  };
  const catalogue = makeCatalogue(read, () => Date.now());
  return makeEncoder({
    catalogue,
    read,
    findNetwork: async (model) => {
      const [modality, network] = model.split('-');
      const manifest = await catalogue.get(SHIPPED_BACKBONES[modality === 'text' ? 'text' : 'image']);
      if (!manifest) throw new Error('the backbones are not there');
      return { trunk: network === 'whole' ? graphSource(manifest.trunk) : null, tail: graphSource(manifest.tail) };
    },
  });
}

async function readInput(kind: 'image' | 'text', request: Request): Promise<EncoderInput> {
  return kind === 'image' ? { kind, bytes: new Uint8Array(await request.arrayBuffer()) } : { kind, text: await request.text() };
}

// The platform demands a default export with these handlers.
export default {
  async fetch(request, env) {
    const all = (encoder ??= open(env));
    const [, kind, model = 'none'] = new URL(request.url).pathname.split('/');
    const { runtimeBytes, tails } = all.memory();
    if (kind !== 'image' && kind !== 'text') return Response.json({ runtime_bytes: runtimeBytes, held: tails });
    const { base, tuned } = await all.encode(await readInput(kind, request), {
      backbone: SHIPPED_BACKBONES[kind],
      model: model === 'none' ? null : model,
    });
    return Response.json({ dimension: base.length, tuned: tuned?.length ?? null });
  },
} satisfies ExportedHandler<Bindings>;
