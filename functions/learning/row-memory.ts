/**
 * One bounded wasm memory for the rows that predictions are multiplied with, and the SIMD kernel (simd/build/dot.c) that multiplies them where they
 * lie. Rows leave the heap for it, so nothing is held twice. A memory can grow but never shrink: freed blocks are used again, first fit.
 */
import type { FeatureTransform } from '../../shared/head.ts';
import { setPlace, type Feature } from './placed.ts';

const PAGE = 65_536;
/** Blocks begin where a cache line does. */
const ALIGN = 64;
/** The first page: the kernel's stack (it has none to speak of), the embedding, its features, the products. */
const RAW_AT = 8_192;
const DIMENSION_MAX = 4_096;
const VECTOR_AT = RAW_AT + DIMENSION_MAX * 4;
const PRODUCTS_AT = VECTOR_AT + DIMENSION_MAX * 4;
const PRODUCTS_MAX = (PAGE - PRODUCTS_AT) / 4;

type Kernel = {
  dot_rows(rows: number, vector: number, products: number, count: number, dimension: number): void;
  features(raw: number, center: number, out: number, dimension: number, roots: 0 | 1): number;
};
type Work = { readonly raw: Float32Array; readonly vector: Float32Array; readonly products: Float32Array };
type Block = { at: number; bytes: number };

/** Rows in a RowMemory, or, once they were freed, a copy of them in the heap: who still reads them never reads another's. */
export type PlacedRows = { readonly values: Float32Array; readonly bytes: number };
type Placed = { values: Float32Array; bytes: number; block: Block | null };

export class RowMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: Kernel;
  readonly #maxPages: number;
  readonly #placed = new Set<Placed>();
  /** By address, never two that touch. */
  #free: Block[] = [];
  #work: Work;
  /** The features that lie at VECTOR_AT now. */
  #features: Float32Array | null = null;

  /** @param module the compiled `simd/dot.wasm` (Workers import it; Node and browsers compile its bytes) */
  constructor(module: WebAssembly.Module, maxBytes: number) {
    this.#maxPages = 1 + Math.ceil(maxBytes / PAGE);
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: this.#maxPages });
    this.#kernel = new WebAssembly.Instance(module, { env: { memory: this.#memory } }).exports as unknown as Kernel;
    this.#work = this.#workplaces();
  }

  /** What the memory takes, used or not. */
  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get usedBytes(): number {
    return [...this.#placed].reduce((sum, p) => sum + (p.block?.bytes ?? 0), 0);
  }

  /** Copies rows in; null when there is no room for them. */
  place(values: Float32Array): PlacedRows | null {
    const bytes = Math.max(1, Math.ceil(values.byteLength / ALIGN)) * ALIGN;
    const block = this.#take(bytes) ?? (this.#grow(bytes) ? this.#take(bytes) : null);
    if (!block) return null;
    const placed: Placed = { values: new Float32Array(this.#memory.buffer, block.at, values.length), bytes: values.byteLength, block };
    placed.values.set(values);
    this.#placed.add(placed);
    this.#show(placed);
    return placed;
  }

  /** The block may be another's from now on. Freeing twice is freeing once. */
  free(rows: PlacedRows): void {
    const placed = rows as Placed;
    const block = placed.block;
    if (!block || !this.#placed.delete(placed)) return;
    placed.values = placed.values.slice();
    placed.block = null;
    const before = this.#free.findLastIndex((f) => f.at < block.at);
    this.#free.splice(before + 1, 0, { ...block });
    this.#join(before + 1);
    this.#join(before);
  }

  /** Makes one block of `i` and the next when they touch. */
  #join(i: number): void {
    const [a, b] = [this.#free[i], this.#free[i + 1]];
    if (!a || !b || a.at + a.bytes !== b.at) return;
    a.bytes += b.bytes;
    this.#free.splice(i + 1, 1);
  }

  #take(bytes: number): Block | null {
    const i = this.#free.findIndex((f) => f.bytes >= bytes);
    const found = this.#free[i];
    if (!found) return null;
    const block = { at: found.at, bytes };
    found.at += bytes;
    found.bytes -= bytes;
    if (found.bytes === 0) this.#free.splice(i, 1);
    return block;
  }

  /** Views of the memory die when it grows: everybody gets a new one. */
  #grow(bytes: number): boolean {
    const end = this.bytes;
    const last = this.#free.at(-1);
    const there = last && last.at + last.bytes === end ? last.bytes : 0;
    const pages = Math.ceil((bytes - there) / PAGE);
    if (end / PAGE + pages > this.#maxPages) return false;
    try {
      this.#memory.grow(pages);
    } catch {
      // The runtime itself has no more.
      return false;
    }
    this.#free.push({ at: end, bytes: pages * PAGE });
    this.#join(this.#free.length - 2);
    this.#work = this.#workplaces();
    this.#features = null;
    for (const placed of this.#placed) {
      placed.values = new Float32Array(this.#memory.buffer, placed.block!.at, placed.bytes / 4);
      this.#show(placed);
    }
    return true;
  }

  #workplaces(): Work {
    const { buffer } = this.#memory;
    return {
      raw: new Float32Array(buffer, RAW_AT, DIMENSION_MAX),
      vector: new Float32Array(buffer, VECTOR_AT, DIMENSION_MAX),
      products: new Float32Array(buffer, PRODUCTS_AT, PRODUCTS_MAX),
    };
  }

  #show(placed: Placed): void {
    setPlace(placed.values, {
      features: (raw, transform) => (placed.block && raw.length === placed.values.length ? this.#transform(raw, transform, placed.block.at) : null),
      multiply: (x, rows, out) => {
        if (x.length > DIMENSION_MAX || rows > PRODUCTS_MAX || !placed.block) return false;
        const { raw, products } = this.#work;
        // Never over the features: a later part of the head may still want them.
        const own = x === this.#features;
        if (!own) raw.set(x);
        this.#kernel.dot_rows(placed.block.at, own ? VECTOR_AT : RAW_AT, PRODUCTS_AT, rows, x.length);
        for (let r = 0; r < rows; r++) out[r] = products[r]!;
        return true;
      },
    });
  }

  #transform(raw: Float32Array, transform: FeatureTransform, centerAt: number): Feature | null {
    if (raw.length > DIMENSION_MAX) return null;
    this.#work.raw.set(raw);
    const squares = this.#kernel.features(RAW_AT, centerAt, VECTOR_AT, raw.length, transform === 'sqrt_l2' ? 1 : 0);
    this.#features = this.#work.vector.subarray(0, raw.length);
    return Number.isFinite(squares) ? { x: this.#features, squares } : null;
  }
}
