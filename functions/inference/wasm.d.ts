/** wrangler's rule CompiledWasm (wrangler.toml): a .wasm file is imported as a compiled module. */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
