/**
 * Heads held in this isolate, so that a prediction asks nobody: bounded by bytes, by age, and by the caller's `min_version`. An entry older than
 * HEAD_TTL_SECONDS is asked for again, which costs a few bytes when nothing changed.
 */
import type { Head } from '../../shared/head.ts';
import { decodeHead } from '../../shared/head-file.ts';
import type { ServedHead } from '../domain/classifier-object.ts';

export const HEADS_MAX_BYTES = 24 * 1024 * 1024;
/** How long a version switched in another isolate may still be answered by the one before. */
export const HEAD_TTL_SECONDS = 5;

export type HeldHead = { readonly version: number; readonly model: string | null; readonly head: Head | null };
export type FetchHead = (classifier: string, known: number | null) => Promise<ServedHead | { unchanged: true; version: number }>;
type Entry = { readonly held: HeldHead; readonly bytes: number; readonly readAt: number };

export class Heads {
  readonly #entries = new Map<string, Entry>();
  readonly #reading = new Map<string, Promise<HeldHead>>();
  readonly #fetch: FetchHead;
  readonly #now: () => number;
  readonly #maxBytes: number;
  /** Grows with every `forget`: what began to be read before one is answered but not kept. */
  #writes = 0;
  constructor(fetch: FetchHead, now: () => number, maxBytes = HEADS_MAX_BYTES) {
    this.#fetch = fetch;
    this.#now = now;
    this.#maxBytes = maxBytes;
  }

  /** The head to answer with. Below `minVersion` it is read again, so a write made before this call is seen. */
  async get(classifier: string, minVersion: number): Promise<HeldHead> {
    const entry = this.#entries.get(classifier);
    const fresh = entry && this.#now() - entry.readAt < HEAD_TTL_SECONDS * 1_000;
    let held = fresh ? entry.held : await (this.#reading.get(classifier) ?? this.#read(classifier));
    // What was being read may have been asked for before the write; only a reading that starts now must know it.
    if (held.version < minVersion) held = await this.#read(classifier);
    return held;
  }

  /** For writes made through this isolate. */
  forget(classifier: string): void {
    this.#writes += 1;
    this.#entries.delete(classifier);
    this.#reading.delete(classifier);
  }

  get bytes(): number {
    return [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
  }

  #read(classifier: string): Promise<HeldHead> {
    const reading = this.#load(classifier);
    this.#reading.set(classifier, reading);
    const done = () => {
      if (this.#reading.get(classifier) === reading) this.#reading.delete(classifier);
    };
    void reading.finally(done).catch(() => undefined);
    return reading;
  }

  async #load(classifier: string): Promise<HeldHead> {
    const readAt = this.#now();
    const writes = this.#writes;
    const before = this.#entries.get(classifier);
    const served = await this.#fetch(classifier, before?.held.version ?? null);
    if ('unchanged' in served && before) {
      this.#keep(classifier, { ...before, readAt }, writes);
      return before.held;
    }
    if ('unchanged' in served) throw new Error('a head was called unchanged that is not held');
    const held = { version: served.version, model: served.model, head: served.head && decodeHead(served.head) };
    this.#keep(classifier, { held, bytes: served.head?.byteLength ?? 0, readAt }, writes);
    return held;
  }

  #keep(classifier: string, entry: Entry, writes: number): void {
    const newer = this.#entries.get(classifier);
    // A slow reading must not replace what a later one brought.
    if (writes !== this.#writes || (newer && newer.readAt > entry.readAt)) return;
    this.#entries.delete(classifier);
    this.#entries.set(classifier, entry);
    let total = this.bytes;
    for (const [id, old] of this.#entries) {
      if (total <= this.#maxBytes || id === classifier) break;
      this.#entries.delete(id);
      total -= old.bytes;
    }
  }
}
