/**
 * Heads held in this isolate, so that a prediction asks nobody: bounded by bytes, by age, and by the caller's `min_version`. An entry older than
 * HEAD_TTL_SECONDS is asked for again, which costs a few bytes when nothing changed. Their rows lie in one wasm memory of the same bound; the least
 * recently asked for give up their place first.
 */
import dotWasm from '../learning/simd/dot.wasm';
import type { Head } from '../../shared/head.ts';
import { decodeHead } from '../../shared/head-file.ts';
import type { ActiveHead } from '../domain/classifier-object.ts';
import { placeHead, type ResidentHead } from '../learning/resident-head.ts';
import { RowMemory } from '../learning/row-memory.ts';
import { HEADS_MAX_BYTES } from './isolate-budget.ts';
import { outlive } from './outlive.ts';

/** How long a version switched in another isolate may still be answered by the one before. */
export const HEAD_TTL_SECONDS = 5;

export type HeldHead = { readonly version: number; readonly model: string | null; readonly head: Head | null };
/** The served one. `newest`: the highest number that a version had when this was read. */
export type CurrentHead = HeldHead & { readonly newest: number };
export type FetchHead = (classifier: string, known: number | null) => Promise<ActiveHead>;
/** `resident`: null while the head's rows are in the heap, because they fit nowhere else. `fileBytes`: of the head's file. */
type Entry = { readonly held: CurrentHead; readonly resident: ResidentHead | null; readonly fileBytes: number; readonly readAt: number };

/** What an entry holds: its file, less what of it moved, and what that takes where it is now. */
function bytesOf({ resident, fileBytes }: Entry): number {
  return resident && resident.placedBytes > 0 ? fileBytes - resident.movedBytes + resident.placedBytes : fileBytes;
}

/** Null where the runtime gives no such memory. */
function openRows(maxBytes: number): RowMemory | null {
  try {
    return new RowMemory(dotWasm, maxBytes);
  } catch (cause) {
    console.error('no wasm memory for heads', cause);
    return null;
  }
}

export class Heads {
  readonly #entries = new Map<string, Entry>();
  readonly #reading = new Map<string, Promise<CurrentHead>>();
  readonly #fetch: FetchHead;
  readonly #now: () => number;
  readonly #maxBytes: number;
  readonly #rows: RowMemory | null;
  /** Grows with every `forget`: what began to be read before one is answered but not kept. */
  #writes = 0;
  /** @param rows null: everything stays in the heap, and plain loops answer */
  constructor(fetch: FetchHead, now: () => number, maxBytes = HEADS_MAX_BYTES, rows = openRows(maxBytes)) {
    this.#fetch = fetch;
    this.#now = now;
    this.#maxBytes = maxBytes;
    this.#rows = rows;
  }

  /** The head to answer with. Below `minVersion` it is read again, so a write made before this call is seen. */
  async get(classifier: string, minVersion: number): Promise<CurrentHead> {
    const entry = this.#entries.get(classifier);
    if (entry) this.#touch(classifier, entry);
    const fresh = entry && this.#now() - entry.readAt < HEAD_TTL_SECONDS * 1_000;
    let held = fresh ? entry.held : await (this.#reading.get(classifier) ?? this.#read(classifier));
    // What was being read may have been asked for before the write; only a reading that starts now must know it.
    if (held.version < minVersion) held = await this.#read(classifier);
    return held;
  }

  /** For writes made through this isolate. */
  forget(classifier: string): void {
    this.#writes += 1;
    this.#drop(classifier);
    this.#reading.delete(classifier);
  }

  /** Of all heads held, wherever their parts are. */
  get bytes(): number {
    return [...this.#entries.values()].reduce((sum, entry) => sum + bytesOf(entry), 0);
  }

  /** The wasm memory as large as it ever had to be, and what of the heads is in the heap. */
  memory(): { readonly rowsBytes: number; readonly heapBytes: number } {
    const placed = [...this.#entries.values()].reduce((sum, entry) => sum + (entry.resident?.placedBytes ?? 0), 0);
    return { rowsBytes: this.#rows?.bytes ?? 0, heapBytes: this.bytes - placed };
  }

  #read(classifier: string): Promise<CurrentHead> {
    const reading = outlive(this.#load(classifier));
    this.#reading.set(classifier, reading);
    const done = () => {
      if (this.#reading.get(classifier) === reading) this.#reading.delete(classifier);
    };
    void reading.finally(done).catch(() => undefined);
    return reading;
  }

  async #load(classifier: string): Promise<CurrentHead> {
    const readAt = this.#now();
    const writes = this.#writes;
    const before = this.#entries.get(classifier);
    const served = await this.#fetch(classifier, before?.held.version ?? null);
    const { newest } = served;
    if ('unchanged' in served && before) return this.#keep(classifier, { ...before, held: { ...before.held, newest }, readAt }, writes);
    if ('unchanged' in served) throw new Error('a head was called unchanged that is not held');
    const held = { version: served.version, newest, model: served.model, head: served.head && decodeHead(served.head) };
    return this.#keep(classifier, { held, resident: null, fileBytes: served.head?.byteLength ?? 0, readAt }, writes);
  }

  /** Answers the head to use: the same, with its rows placed where that was possible. */
  #keep(classifier: string, entry: Entry, writes: number): CurrentHead {
    const newer = this.#entries.get(classifier);
    // A slow reading must not replace what a later one brought.
    if (writes !== this.#writes || (newer && newer.readAt > entry.readAt)) return entry.held;
    if (newer && newer.resident !== entry.resident) newer.resident?.release();
    this.#touch(classifier, entry);
    // What was released while its version was asked for is placed again.
    const there = !entry.held.head || (entry.resident && entry.resident.placedBytes > 0);
    const resident = entry.held.head && !there ? this.#place(classifier, entry.held.head, entry.fileBytes) : null;
    const held = resident ? { ...entry.held, head: resident.head } : entry.held;
    if (resident) this.#touch(classifier, { ...entry, held, resident });
    this.#makeRoom(classifier);
    return held;
  }

  /** The least recently used go until the rest is within the bound; never `classifier`, which is about to answer. */
  #makeRoom(classifier: string): void {
    let total = this.bytes;
    for (const [id, old] of this.#entries) {
      if (total <= this.#maxBytes || id === classifier) return;
      total -= bytesOf(old);
      this.#drop(id);
    }
  }

  /** Older heads give up their place until it fits; a head larger than the whole memory stays in the heap. */
  #place(classifier: string, head: Head, fileBytes: number): ResidentHead | null {
    if (!this.#rows || fileBytes > 2 * this.#maxBytes) return null;
    for (;;) {
      const resident = placeHead(head, this.#rows);
      const oldest = [...this.#entries.keys()].find((id) => id !== classifier);
      if (resident || oldest === undefined) return resident;
      this.#drop(oldest);
    }
  }

  #touch(classifier: string, entry: Entry): void {
    this.#entries.delete(classifier);
    this.#entries.set(classifier, entry);
  }

  #drop(classifier: string): void {
    this.#entries.get(classifier)?.resident?.release();
    this.#entries.delete(classifier);
  }
}
