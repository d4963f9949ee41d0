/**
 * A head as an isolate holds it to answer with: its large rows in the isolate's RowMemory, equal centres held once. Kept examples (or the directions that
 * they are written in) and linear weights are shorts there as long as that changes too little to see (resident-precision.ts); coordinates, the kernel's
 * weights and the novelty's factor, whose large values cancel, stay floats. Where even single precision would show, the rows only lie there, and the plain
 * loops read them.
 */
import type { Head, HeadComponent, Support } from '../../shared/head.ts';
import { sideOf } from './novelty.ts';
import { setPlaces, type Places } from './placed.ts';
import { ERROR_MAX, STEP_OF_FLOATS, errorOfSupport, errorOfWeights } from './resident-precision.ts';
import type { Form, Shape } from './row-forms.ts';
import type { PlacedRows } from './placed-rows.ts';
import type { RowMemory } from './row-memory.ts';

export type ResidentHead = {
  readonly head: Head;
  /** Bytes of the RowMemory that it takes; 0 once released. */
  readonly placedBytes: number;
  /** Of its file's bytes, how many left the heap for it. */
  readonly movedBytes: number;
  /** Gives the rows' place back. Who still holds the head can go on using it. */
  release(): void;
};

/** Null when its rows do not fit as the memory is now: free others and ask again, or use the head as it is. */
export function placeHead(head: Head, memory: RowMemory): ResidentHead | null {
  const given = head.support && head.support.labelOf.length > 0 ? head.support : null;
  const errorOfRows = given ? errorOfSupport(given, head) : 0;
  const exact = errorOfRows * STEP_OF_FLOATS > ERROR_MAX;
  const placing = new Placing(memory);
  const labels = head.labels.length;
  const parts: HeadComponent[] = [];
  for (const component of head.components) {
    const shape = { rows: labels, columns: component.weight.length / labels };
    const center = placing.center(component.center);
    const weight =
      exact || component.kernel
        ? placing.move(component.weight, 'floats', shape)
        : placing.shortsOr(component.weight, shape, errorOfWeights(component, head));
    if (!center || !weight) return (placing.release(), null);
    parts.push(withRows(component, { center, weight }, exact));
  }
  let { support } = head;
  if (given) {
    const width = given.rows.length / given.labelOf.length;
    const side = sideOf(given.factor);
    const center = placing.center(given.center);
    // What is as long as an embedding is most of the memory and of the products; coordinates are few and, being few, too large for fine steps.
    const long = given.basis ?? given.rows;
    const shape = { rows: long.length / given.dimension, columns: given.dimension };
    const placedLong = exact ? placing.move(long, 'floats', shape) : placing.shortsOr(long, shape, errorOfRows);
    const basis = given.basis && placedLong;
    const rows = given.basis ? placing.move(given.rows, 'floats', { rows: given.labelOf.length, columns: width }) : placedLong;
    const factor = placing.move(given.factor, exact ? 'floats' : 'lower', { rows: side, columns: side });
    if (!center || !rows || !factor || (given.basis && !basis)) return (placing.release(), null);
    support = withRows(given, basis ? { center, basis, rows, factor } : { center, rows, factor }, exact);
  }
  return new Resident({ ...head, components: parts, support }, placing, memory);
}

/** What of one head was moved so far. */
class Placing {
  readonly #memory: RowMemory;
  readonly rows: PlacedRows[] = [];
  readonly #centers: { readonly given: Float32Array; readonly rows: PlacedRows }[] = [];
  movedBytes = 0;
  constructor(memory: RowMemory) {
    this.#memory = memory;
  }

  move(values: Float32Array, form?: Form, shape?: Shape): PlacedRows | null {
    return this.#keep(values, this.#memory.place(values, form, shape));
  }

  /** Shorts, or floats where these would err by more than ERROR_MAX. */
  shortsOr(values: Float32Array, shape: Shape, errorPerStep: number): PlacedRows | null {
    const shorts = this.#memory.place(values, 'shorts', shape);
    if (shorts && errorPerStep * shorts.step <= ERROR_MAX) return this.#keep(values, shorts);
    if (shorts) this.#memory.free(shorts);
    return this.move(values, 'floats', shape);
  }

  center(given: Float32Array): PlacedRows | null {
    const same = this.#centers.find((c) => c.given.length === given.length && c.given.every((v, i) => v === given[i]));
    if (same) this.movedBytes += given.byteLength;
    if (same) return same.rows;
    const rows = this.move(given);
    if (rows) this.#centers.push({ given, rows });
    return rows;
  }

  #keep(values: Float32Array, rows: PlacedRows | null): PlacedRows | null {
    if (!rows) return null;
    this.rows.push(rows);
    this.movedBytes += values.byteLength;
    return rows;
  }

  release(): void {
    for (const rows of this.rows) this.#memory.free(rows);
  }
}

/** A class, not an object of functions: what these share with others of their scope would keep the head's file, which is as large as its rows. */
class Resident implements ResidentHead {
  readonly head: Head;
  readonly movedBytes: number;
  readonly #rows: readonly PlacedRows[];
  readonly #memory: RowMemory;
  constructor(head: Head, { rows, movedBytes }: Placing, memory: RowMemory) {
    this.head = head;
    this.movedBytes = movedBytes;
    this.#rows = rows;
    this.#memory = memory;
  }

  get placedBytes(): number {
    return this.#rows.reduce((sum, rows) => sum + rows.bytes, 0);
  }

  release(): void {
    for (const rows of this.#rows) this.#memory.free(rows);
  }
}

/** Read through the place, which knows where the rows are now: a memory that grows moves them. */
function withRows<T extends HeadComponent | Support>(owner: T, rows: Places, exact: boolean): T {
  const made = { ...owner };
  for (const [key, placed] of Object.entries(rows)) Object.defineProperty(made, key, { get: () => placed.values, enumerable: true });
  if (!exact) setPlaces(made, rows);
  return made;
}
