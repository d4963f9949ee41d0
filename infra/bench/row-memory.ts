/** The kernel's memory for benchmarks in Node; the Worker imports the compiled module (functions/inference/heads.ts). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RowMemory } from '../../functions/learning/row-memory.ts';
import { ROOT } from '../paths.ts';

export const makeRowMemory = (maxBytes: number): RowMemory =>
  new RowMemory(new WebAssembly.Module(new Uint8Array(readFileSync(join(ROOT, 'functions/learning/simd/dot.wasm')))), maxBytes);
