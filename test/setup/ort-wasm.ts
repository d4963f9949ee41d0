/// <reference types="@cloudflare/workers-types" />
/**
 * The networks' runtime, for `onnxruntime-web/ort-wasm-simd-threaded.wasm`: the same bytes, over a binding. The plugin hands an imported module to workerd
 * as a JSON array of its bytes; 14 million numbers took seconds of every test file.
 */
import { env } from 'cloudflare:workers';

type Loading = { readonly ORT_WASM: Fetcher; readonly __VITEST_POOL_WORKERS_UNSAFE_EVAL: { newWasmModule(bytes: ArrayBuffer): WebAssembly.Module } };
const { ORT_WASM, __VITEST_POOL_WORKERS_UNSAFE_EVAL: compiler } = env as unknown as Loading;
const answer = await ORT_WASM.fetch('https://files.test/ort.wasm');
export default compiler.newWasmModule(await answer.arrayBuffer());
