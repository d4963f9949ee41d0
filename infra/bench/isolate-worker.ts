/**
 * Starts the real Worker again and again as a new isolate in a runtime that already runs (the Worker Loader binding): script and wasm are compiled and
 * the modules evaluated, then one request is answered. `GET /<id>` goes to the isolate of that id; an id not seen before starts one.
 */
type Bindings = { readonly LOADER: WorkerLoader; readonly FILES: Fetcher; readonly SETTINGS: Record<string, string>; readonly MODULES: string[] };

let code: WorkerLoaderWorkerCode | undefined;

async function load(env: Bindings): Promise<WorkerLoaderWorkerCode> {
  const modules: Record<string, WorkerLoaderModule> = {};
  for (const name of env.MODULES) {
    const response = await env.FILES.fetch(`http://files/${name}`);
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    modules[name] = name.endsWith('.wasm') ? { wasm: await response.arrayBuffer() } : { js: await response.text() };
  }
  return { compatibilityDate: '2026-07-01', compatibilityFlags: ['nodejs_compat'], mainModule: 'worker.js', modules, env: env.SETTINGS };
}

// The platform demands a default export with these handlers.
export default {
  async fetch(request, env) {
    const loaded = (code ??= await load(env));
    const id = new URL(request.url).pathname;
    // Before the first id: only read the files.
    if (id === '/') return new Response();
    return await env.LOADER.get(id, () => loaded)
      .getEntrypoint()
      .fetch('http://worker/healthz');
  },
} satisfies ExportedHandler<Bindings>;
