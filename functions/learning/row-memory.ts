/**
 * One bounded wasm memory for the rows that predictions are multiplied with, and the SIMD kernel (simd/build) that multiplies them where they lie. Rows
 * leave the heap for it, so nothing is held twice. A memory can grow but never shrink: freed blocks are used again, first fit.
 */
import { KERNEL_POWER, type FeatureTransform, type KernelPower } from '../../shared/head.ts';
import { Blocks } from './blocks.ts';
import { PlacedRows } from './placed-rows.ts';
import type { Feature } from './placed.ts';
import { bytesOf, shortsAt, strideOf, writeLower, type Form, type Shape } from './row-forms.ts';

const PAGE = 65_536;
/**
 * The first page: the kernel's stack (it has none to speak of), cosines to kept rows and κ of them, an embedding or another vector, features, a vector of
 * shorts, the products.
 */
const COMPARED_MAX = 512;
const COSINES_AT = 4_096;
const KERNEL_AT = COSINES_AT + COMPARED_MAX * 4;
const RAW_AT = KERNEL_AT + COMPARED_MAX * 4;
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
  kernel_of(products: number, out: number, scale: number, count: number, power: number): void;
};
type Work = { readonly raw: Float32Array; readonly vector: Float32Array; readonly products: Float32Array };
type Vector = Float64Array | Float32Array;
type Rows = Exclude<Form, 'lower'>;

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
  /** Products with the features that lie at RAW_AT now. */
  #projected: Float32Array | null = null;
  /** What lies at COSINES_AT now, and κ of it at KERNEL_AT. */
  #compared: { readonly cosines: Float32Array; readonly kernel: Float32Array; power: KernelPower } | null = null;

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
    this.#projected = null;
    this.#compared = null;
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

  multiply(form: Rows, at: number, shape: Shape, x: Vector, rows: number, out: Float64Array): boolean {
    if (rows > PRODUCTS_MAX || !this.#multiply(form, at, shape, x, rows, PRODUCTS_AT)) return false;
    const { products } = this.#work;
    for (let r = 0; r < rows; r++) out[r] = products[r]!;
    return true;
  }

  /** Of the features alone, which do not lie where the products come to lie. */
  project(form: Rows, at: number, shape: Shape, x: Vector): Float32Array | null {
    if (x !== this.#features || shape.rows > DIMENSION_MAX || !this.#multiply(form, at, shape, x, shape.rows, RAW_AT)) return null;
    this.#projected = this.#work.raw.subarray(0, shape.rows);
    return this.#projected;
  }

  compare(form: Rows, at: number, shape: Shape, x: Vector, scale: number): Float32Array | null {
    const { rows } = shape;
    this.#compared = null;
    if (rows > COMPARED_MAX || !this.#multiply(form, at, shape, x, rows, COSINES_AT)) return null;
    this.#kernel.kernel_of(COSINES_AT, KERNEL_AT, scale, rows, KERNEL_POWER);
    const [cosines, kernel] = [new Float32Array(this.buffer, COSINES_AT, rows), new Float32Array(this.buffer, KERNEL_AT, rows)];
    this.#compared = { cosines, kernel, power: KERNEL_POWER };
    return cosines;
  }

  kernelOf(cosines: Vector, power: KernelPower): Float32Array | null {
    const its = this.#compared;
    if (its?.cosines !== cosines) return null;
    if (its.power !== power) this.#kernel.kernel_of(COSINES_AT, KERNEL_AT, 1, cosines.length, power);
    its.power = power;
    return its.kernel;
  }

  #multiply(form: Rows, at: number, shape: Shape, x: Vector, rows: number, to: number): boolean {
    if (x.length > DIMENSION_MAX) return false;
    if (form === 'floats') {
      this.#kernel.dot_rows(at, this.#put(x), to, rows, x.length);
      return true;
    }
    const own = x === this.#features;
    const step = (own ? this.#step : null) ?? this.#kernel.quantise(this.#put(x), SHORTS_AT, x.length);
    this.#step = own ? step : null;
    if (Number.isNaN(step)) return false;
    this.#kernel.dot_shorts(at + shortsAt(shape), at, SHORTS_AT, step, to, rows, strideOf(shape));
    return true;
  }

  /** @param rows how many values of x are read */
  lowerSquares(at: number, x: Vector, rows: number): number | null {
    if (x === this.#compared?.kernel) return this.#kernel.lower_squares(at, KERNEL_AT, rows);
    if (rows > DIMENSION_MAX - 8) return null;
    this.#projected = null;
    this.#work.raw.set(x.subarray(0, rows));
    this.#work.raw.fill(0, rows, rows + 8);
    return this.#kernel.lower_squares(at, RAW_AT, rows);
  }

  transform(raw: Float32Array, transform: FeatureTransform, centerAt: number): Feature | null {
    if (raw.length > DIMENSION_MAX) return null;
    this.#projected = null;
    this.#work.raw.set(raw);
    const squares = this.#kernel.features(RAW_AT, centerAt, VECTOR_AT, raw.length, transform === 'sqrt_l2' ? 1 : 0);
    this.#features = this.#work.vector.subarray(0, raw.length);
    this.#step = null;
    return Number.isFinite(squares) ? { x: this.#features, squares } : null;
  }

  /** Where x lies: never over the features, which a later part of the head may still want. */
  #put(x: Vector): number {
    if (x === this.#features) return VECTOR_AT;
    if (x === this.#compared?.kernel) return KERNEL_AT;
    if (x === this.#projected) return RAW_AT;
    this.#projected = null;
    this.#work.raw.set(x);
    return RAW_AT;
  }
}
