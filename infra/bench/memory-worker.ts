/**
 * What an isolate holds to answer predictions, without the rest of the Worker: both shipped backbones, the decoder and the heads of many classifiers.
 * `POST /image/<head>` and `POST /text/<head>` answer with that head, or with the error's code; `…/<head>/tail-3` or `…/<head>/whole-3` run a tenant's own
 * network beside it, which has the files of the shipped one. `GET /memory` counts what is held outside the heap; `GET /collect` does so after a collection.
 */
import { GraftError } from '../../shared/errors.ts';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { graphSource, makeCatalogue } from '../../functions/inference/catalogue.ts';
import { makeEncoder, type Encoder } from '../../functions/inference/encoder.ts';
import { Heads } from '../../functions/inference/heads.ts';
import { scoreHead } from '../../functions/learning/score-head.ts';

type Bindings = { readonly FILES: Fetcher };
type Parts = { readonly encoder: Encoder; readonly heads: Heads };

let parts: Parts | undefined;

function makeParts(env: Bindings): Parts {
  const read = async (key: string): Promise<Uint8Array | null> => {
    const response = await env.FILES.fetch(`http://files/${key}`);
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  };
  const now = (): number => Date.now();
  const catalogue = makeCatalogue(read, now);
  const findNetwork = async (model: string) => {
    const [kind, network] = model.split('-');
    const manifest = await catalogue.get(SHIPPED_BACKBONES[kind === 'text' ? 'text' : 'image']);
    if (!manifest) throw new Error('the backbones are not there');
    return { trunk: network === 'whole' ? graphSource(manifest.trunk) : null, tail: graphSource(manifest.tail) };
  };
  const encoder = makeEncoder({ catalogue, read, findNetwork });
  // Classifiers of a kind are as large as each other: `image-7` has the file of `image`.
  const served = async (id: string) => ({ version: 1, newest: 1, model: null, head: await read(`heads/${id.split('-')[0]}`) });
  return { encoder, heads: new Heads(served, now) };
}

async function answer({ encoder, heads }: Parts, kind: 'image' | 'text', id: string, own: string | undefined, request: Request): Promise<unknown> {
  const input = kind === 'image' ? { kind, bytes: new Uint8Array(await request.arrayBuffer()) } : { kind, text: await request.text() };
  const { head } = await heads.get(id, 0);
  if (!head) throw new Error(`there is no head ${id}`);
  try {
    const embedded = await encoder.encode(input, { backbone: SHIPPED_BACKBONES[kind], model: own ? `${kind}-${own}` : null });
    return { label: scoreHead(head, embedded).scores[0]?.label };
  } catch (error) {
    if (error instanceof GraftError) return { refused: error.code };
    throw error;
  }
}

/** There when the runtime was started with `--expose-gc`. */
const { gc } = globalThis as { gc?: () => void };

// The platform demands a default export with these handlers.
export default {
  async fetch(request, env) {
    const all = (parts ??= makeParts(env));
    const [, kind, id = '', own] = new URL(request.url).pathname.split('/');
    if (kind === 'image' || kind === 'text') return Response.json(await answer(all, kind, id, own, request));
    if (kind === 'collect') gc?.();
    // What the collector freed is counted off by the next turn.
    await Promise.resolve();
    const { runtimeBytes, decoderBytes } = all.encoder.memory();
    const { rowsBytes } = all.heads.memory();
    return Response.json({ runtime_bytes: runtimeBytes, decoder_bytes: decoderBytes, rows_bytes: rowsBytes, heads_bytes: all.heads.bytes });
  },
} satisfies ExportedHandler<Bindings>;
