/**
 * One bounded wasm memory for the rows that predictions are multiplied with, and the SIMD kernel (simd/build) that multiplies them where they lie. Rows
 * leave the heap for it, so nothing is held twice. A memory can grow but never shrink: freed blocks are used again, first fit.
 */
import type { FeatureTransform } from '../../shared/head.ts';
import { Blocks, type Block } from './blocks.ts';
import type { Feature, Placed } from './placed.ts';
import { bytesOf, readLower, readShorts, shortsAt, strideOf, writeLower, type Form, type Shape } from './row-forms.ts';

const PAGE = 65_536;
/** The first page: the kernel's stack (it has none to speak of), an embedding or another vector, features, a vector of shorts, the products. */
const RAW_AT = 8_192;
const DIMENSION_MAX = 4_096;
const VECTOR_AT = RAW_AT + DIMENSION_MAX * 4;
const SHORTS_AT = VECTOR_AT + DIMENSION_MAX * 4;
const PRODUCTS_AT = SHORTS_AT + DIMENSION_MAX * 2;
const PRODUCTS_MAX = (PAGE - PRODUCTS_AT) / 4;

type Kernel = {
  dot_rows(rows: number, vector: number, products: number, count: number, dimension: number): void;
  dot_shorts(rows: number, steps: number, vector: number, step: number, products: number, count: number, stride: number): void;
  lower_squares(rows: number, vector: number, side: number): number;
  features(raw: number, center: number, out: number, dimension: number, roots: 0 | 1): number;
  quantise(vector: number, out: number, dimension: number): number;
};
type Work = { readonly raw: Float32Array; readonly vector: Float32Array; readonly products: Float32Array };
type Vector = Float64Array | Float32Array;

export class RowMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: Kernel;
  readonly #maxPages: number;
  readonly #blocks = new Blocks();
  #usedBytes = 0;
  #work: Work;
  /** The features that lie at VECTOR_AT now, and the step of their shorts once these lie at SHORTS_AT. */
  #features: Float32Array | null = null;
  #step: number | null = null;

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
    return this.#usedBytes;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  /** Copies rows in; null when there is no room for them, or when shorts cannot hold them. Of `lower` only the lower half is kept. */
  place(values: Float32Array, form: Form = 'floats', shape: Shape = { rows: 1, columns: values.length }): PlacedRows | null {
    const bytes = bytesOf(form, shape);
    const block = this.#blocks.take(bytes) ?? (this.#grow(bytes) ? this.#blocks.take(bytes) : null);
    if (!block) return null;
    if (!this.#write(values, form, shape, block.at)) return (this.#blocks.give(block), null);
    this.#usedBytes += block.bytes;
    return new PlacedRows(this, form, shape, block);
  }

  /** The block may be another's from now on. Freeing twice is freeing once. */
  free(rows: PlacedRows): void {
    const block = rows.leave();
    if (!block) return;
    this.#usedBytes -= block.bytes;
    this.#blocks.give(block);
  }

  #write(values: Float32Array, form: Form, shape: Shape, at: number): boolean {
    if (form === 'floats') new Float32Array(this.buffer, at, values.length).set(values);
    else if (form === 'lower') writeLower(values, shape.rows, new Float32Array(this.buffer, at, bytesOf(form, shape) / 4));
    else return this.#writeShorts(values, shape, at);
    return true;
  }

  #writeShorts(values: Float32Array, shape: Shape, at: number): boolean {
    const { rows, columns } = shape;
    if (columns > DIMENSION_MAX) return false;
    const steps = new Float32Array(this.buffer, at, rows);
    for (let r = 0; r < rows; r++) {
      this.#work.raw.set(values.subarray(r * columns, (r + 1) * columns));
      steps[r] = this.#kernel.quantise(RAW_AT, at + shortsAt(shape) + r * strideOf(shape) * 2, columns);
      if (Number.isNaN(steps[r])) return false;
    }
    return true;
  }

  /** Views of the memory die when it grows. */
  #grow(bytes: number): boolean {
    const end = this.bytes;
    const pages = Math.ceil(this.#blocks.missing(bytes, end) / PAGE);
    if (end / PAGE + pages > this.#maxPages) return false;
    try {
      this.#memory.grow(pages);
    } catch {
      // The runtime itself has no more.
      return false;
    }
    this.#blocks.give({ at: end, bytes: pages * PAGE });
    this.#work = this.#workplaces();
    this.#features = null;
    return true;
  }

  #workplaces(): Work {
    const { buffer } = this;
    return {
      raw: new Float32Array(buffer, RAW_AT, DIMENSION_MAX),
      vector: new Float32Array(buffer, VECTOR_AT, DIMENSION_MAX),
      products: new Float32Array(buffer, PRODUCTS_AT, PRODUCTS_MAX),
    };
  }

  multiplyFloats(at: number, x: Vector, rows: number, out: Float64Array): boolean {
    if (x.length > DIMENSION_MAX || rows > PRODUCTS_MAX) return false;
    this.#kernel.dot_rows(at, this.#put(x), PRODUCTS_AT, rows, x.length);
    return this.#takeProducts(rows, out);
  }

  multiplyShorts(at: number, shape: Shape, x: Vector, rows: number, out: Float64Array): boolean {
    if (rows > PRODUCTS_MAX) return false;
    const own = x === this.#features;
    const step = (own ? this.#step : null) ?? this.#kernel.quantise(this.#put(x), SHORTS_AT, x.length);
    this.#step = own ? step : null;
    if (Number.isNaN(step)) return false;
    this.#kernel.dot_shorts(at + shortsAt(shape), at, SHORTS_AT, step, PRODUCTS_AT, rows, strideOf(shape));
    return this.#takeProducts(rows, out);
  }

  lowerSquares(at: number, x: Float64Array): number {
    const vector = this.#put(x);
    this.#work.raw.fill(0, x.length, x.length + 8);
    return this.#kernel.lower_squares(at, vector, x.length);
  }

  transform(raw: Float32Array, transform: FeatureTransform, centerAt: number): Feature | null {
    if (raw.length > DIMENSION_MAX) return null;
    this.#work.raw.set(raw);
    const squares = this.#kernel.features(RAW_AT, centerAt, VECTOR_AT, raw.length, transform === 'sqrt_l2' ? 1 : 0);
    this.#features = this.#work.vector.subarray(0, raw.length);
    this.#step = null;
    return Number.isFinite(squares) ? { x: this.#features, squares } : null;
  }

  /** Where x lies: never over the features, which a later part of the head may still want. */
  #put(x: Vector): number {
    if (x === this.#features) return VECTOR_AT;
    this.#work.raw.set(x);
    return RAW_AT;
  }

  #takeProducts(rows: number, out: Float64Array): true {
    const { products } = this.#work;
    for (let r = 0; r < rows; r++) out[r] = products[r]!;
    return true;
  }
}

/** Rows in a RowMemory, or, once they were freed, a copy of them in the heap: who still reads them never reads another's. */
export class PlacedRows implements Placed {
  readonly #memory: RowMemory;
  readonly #form: Form;
  readonly #shape: Shape;
  #block: Block | null;
  /** Of floats a view while they lie there, and the same one as long as the memory does not grow; of anything else only the copy. */
  #values: Float32Array | null = null;

  constructor(memory: RowMemory, form: Form, shape: Shape, block: Block) {
    this.#memory = memory;
    this.#form = form;
    this.#shape = shape;
    this.#block = block;
  }

  get bytes(): number {
    return this.#block?.bytes ?? 0;
  }

  get values(): Float32Array {
    const { buffer } = this.#memory;
    if (!this.#block) return this.#values!;
    if (this.#form !== 'floats') return this.#read(this.#block.at);
    if (this.#values?.buffer !== buffer) this.#values = new Float32Array(buffer, this.#block.at, this.#shape.rows * this.#shape.columns);
    return this.#values;
  }

  /** Of shorts, the root mean square over their rows: what one of their values may be wrong by is half a step. */
  get step(): number {
    if (!this.#block || this.#form !== 'shorts') return 0;
    const steps = new Float32Array(this.#memory.buffer, this.#block.at, this.#shape.rows);
    return Math.sqrt(steps.reduce((sum, v) => sum + v * v, 0) / steps.length);
  }

  /** For RowMemory.free alone. */
  leave(): Block | null {
    const block = this.#block;
    if (!block) return null;
    this.#values = this.values.slice();
    this.#block = null;
    return block;
  }

  #read(at: number): Float32Array {
    const { buffer } = this.#memory;
    const shape = this.#shape;
    if (this.#form === 'lower') return readLower(new Float32Array(buffer, at, bytesOf('lower', shape) / 4), shape.rows);
    const shorts = new Int16Array(buffer, at + shortsAt(shape), shape.rows * strideOf(shape));
    return readShorts(new Float32Array(buffer, at, shape.rows), shorts, shape);
  }

  features(raw: Float32Array, transform: FeatureTransform): Feature | null {
    const its = this.#form === 'floats' && raw.length === this.#shape.rows * this.#shape.columns;
    return its && this.#block ? this.#memory.transform(raw, transform, this.#block.at) : null;
  }

  multiply(x: Vector, rows: number, out: Float64Array): boolean {
    if (!this.#block || x.length !== this.#shape.columns || rows > this.#shape.rows) return false;
    if (this.#form === 'floats') return this.#memory.multiplyFloats(this.#block.at, x, rows, out);
    return this.#form === 'shorts' && this.#memory.multiplyShorts(this.#block.at, this.#shape, x, rows, out);
  }

  lowerSquares(x: Float64Array): number | null {
    const its = this.#form === 'lower' && x.length === this.#shape.rows && x.length <= DIMENSION_MAX;
    return its && this.#block ? this.#memory.lowerSquares(this.#block.at, x) : null;
  }
}
