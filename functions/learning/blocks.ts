/** Which bytes of a memory are free: first fit, neighbours joined. */

/** Blocks begin where a cache line does. */
const ALIGN = 64;

export type Block = { at: number; bytes: number };

export class Blocks {
  /** By address, never two that touch. */
  readonly #free: Block[] = [];

  /** Null when no free block is large enough. */
  take(wanted: number): Block | null {
    const bytes = aligned(wanted);
    const i = this.#free.findIndex((f) => f.bytes >= bytes);
    const found = this.#free[i];
    if (!found) return null;
    const block = { at: found.at, bytes };
    found.at += bytes;
    found.bytes -= bytes;
    if (found.bytes === 0) this.#free.splice(i, 1);
    return block;
  }

  give(block: Block): void {
    const before = this.#free.findLastIndex((f) => f.at < block.at);
    this.#free.splice(before + 1, 0, { ...block });
    this.#join(before + 1);
    this.#join(before);
  }

  /** How much `wanted` is more than what is free right before `end`. */
  missing(wanted: number, end: number): number {
    const last = this.#free.at(-1);
    return aligned(wanted) - (last && last.at + last.bytes === end ? last.bytes : 0);
  }

  /** Makes one block of `i` and the next when they touch. */
  #join(i: number): void {
    const [a, b] = [this.#free[i], this.#free[i + 1]];
    if (!a || !b || a.at + a.bytes !== b.at) return;
    a.bytes += b.bytes;
    this.#free.splice(i + 1, 1);
  }
}

const aligned = (bytes: number): number => Math.max(1, Math.ceil(bytes / ALIGN)) * ALIGN;
