/** Rows that lie in a RowMemory. */
import type { FeatureTransform, KernelPower } from '../../shared/head.ts';
import type { Block } from './blocks.ts';
import type { Feature, Placed } from './placed.ts';
import { bytesOf, readLower, readShorts, shortsAt, strideOf, type Form, type Shape } from './row-forms.ts';
import type { RowMemory } from './row-memory.ts';

type Vector = Float64Array | Float32Array;

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
    if (!this.#block || this.#form === 'lower' || x.length !== this.#shape.columns || rows > this.#shape.rows) return false;
    return this.#memory.multiply(this.#form, this.#block.at, this.#shape, x, rows, out);
  }

  project(x: Vector): Float32Array | null {
    if (!this.#block || this.#form === 'lower' || x.length !== this.#shape.columns) return null;
    return this.#memory.project(this.#form, this.#block.at, this.#shape, x);
  }

  compare(x: Vector, scale: number): Float32Array | null {
    if (!this.#block || this.#form === 'lower' || x.length !== this.#shape.columns) return null;
    return this.#memory.compare(this.#form, this.#block.at, this.#shape, x, scale);
  }

  kernelOf(cosines: Vector, power: KernelPower): Float32Array | null {
    return this.#memory.kernelOf(cosines, power);
  }

  lowerSquares(x: Vector): number | null {
    const { rows } = this.#shape;
    const its = this.#form === 'lower' && x.length >= rows;
    return its && this.#block ? this.#memory.lowerSquares(this.#block.at, x, rows) : null;
  }
}
