/**
 * onnxruntime-web inside a Worker. Two things differ from a browser: wasm must be imported as a module, because compiling bytes is forbidden at run
 * time, and there is one thread. The emscripten glue calls `WebAssembly.instantiate(bytes, imports)` once, at the first session; for that one call
 * it is handed the imported module instead.
 */
import ortWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm';
import * as ort from 'onnxruntime-web/wasm';

export { ort };

/** An empty wasm file: the glue wants bytes, and ignores them here. */
const EMPTY_WASM = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

let memory: WebAssembly.Memory | null = null;
let started = false;

/** Bytes of the runtime's wasm memory now; it never shrinks. */
export function ortMemoryBytes(): number {
  return memory?.buffer.byteLength ?? 0;
}

/**
 * Emscripten asks for a fifth more than it needs, then for a tenth and a twentieth more when it is refused (`resize_heap`, three tries), and never gives
 * any back: in an isolate of 128 MB a fifth is what the heads take. It is given the last.
 */
function growTight(given: WebAssembly.Memory): WebAssembly.Memory {
  const grow = given.grow.bind(given);
  let refused = 0;
  given.grow = (pages: number): number => {
    if (refused < 2) {
      refused += 1;
      throw new RangeError('less will do');
    }
    refused = 0;
    return grow(pages);
  };
  return given;
}

/** Runs the first creation of a session with the imported module in place. Callers must not overlap (see run-queue.ts). */
async function withRuntime<T>(create: () => Promise<T>): Promise<T> {
  if (started) return await create();
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = EMPTY_WASM as unknown as ArrayBuffer;
  ort.env.logLevel = 'error';
  const platform = WebAssembly as { instantiate: unknown };
  const original = platform.instantiate as (module: WebAssembly.Module, imports: WebAssembly.Imports) => Promise<WebAssembly.Instance>;
  platform.instantiate = async (_bytes: unknown, imports: WebAssembly.Imports) => {
    const instance = await original(ortWasm, imports);
    const values = [...Object.values(instance.exports), ...Object.values(imports).flatMap((part) => Object.values(part))];
    for (const value of values) if (value instanceof WebAssembly.Memory) memory = growTight(value);
    return { instance, module: ortWasm };
  };
  try {
    const created = await create();
    started = true;
    return created;
  } finally {
    platform.instantiate = original;
  }
}

export type GraphFiles = {
  readonly model: Uint8Array;
  /** Weights outside the ONNX file, under the name by which it asks for them. */
  readonly data: { readonly path: string; readonly bytes: Uint8Array } | null;
};

/**
 * Opens a graph and takes the bytes away from the caller: they are detached afterwards, so that no second copy stays in the isolate. Arena off and no
 * pre-packing: the picture backbone then takes 40 MiB instead of 66.
 */
export async function openSession(files: GraphFiles): Promise<ort.InferenceSession> {
  const session = await withRuntime(
    async () =>
      await ort.InferenceSession.create(files.model, {
        executionProviders: ['wasm'],
        enableCpuMemArena: false,
        extra: { session: { disable_prepacking: '1' } },
        ...(files.data ? { externalData: [{ path: files.data.path, data: files.data.bytes }] } : {}),
      }),
  );
  for (const bytes of [files.model, files.data?.bytes]) if (bytes) (bytes.buffer as ArrayBuffer).transfer(0);
  return session;
}
