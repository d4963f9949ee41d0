/** Tuned tails of tenants, kept by last use up to a bound in bytes: an isolate serves many fine-tuned networks over the shared trunks. */
import { Graph, readGraph, type GraphSource, type Read } from './graph.ts';
import type { RunQueue } from './run-queue.ts';

/** File bytes; the runtime needs about as much again. Seven picture tails of 4.5 MB. */
export const TAILS_MAX_BYTES = 32 * 1024 * 1024;

/** Finds a model's tail graph; null when the model does not exist or has no tail of its own. */
export type FindTail = (model: string) => Promise<GraphSource | null>;

type Entry = { readonly graph: Promise<Graph>; readonly bytes: number; users: number; evicted: boolean };

export class Tails {
  readonly #entries = new Map<string, Entry>();
  readonly #read: Read;
  readonly #find: FindTail;
  readonly #queue: RunQueue;
  readonly #maxBytes: number;
  constructor(read: Read, find: FindTail, queue: RunQueue, maxBytes = TAILS_MAX_BYTES) {
    this.#read = read;
    this.#find = find;
    this.#queue = queue;
    this.#maxBytes = maxBytes;
  }

  /** Models held now, least recently used first. */
  get models(): string[] {
    return [...this.#entries.keys()];
  }

  /** Calls `use` with the model's tail, which stays open until `use` has ended; answers null when there is no tail. */
  async with<T>(model: string, use: (tail: Graph) => Promise<T>): Promise<T | null> {
    const entry = this.#entries.get(model) ?? (await this.#load(model));
    if (!entry) return null;
    this.#entries.delete(model);
    this.#entries.set(model, entry);
    entry.users += 1;
    try {
      return await use(await entry.graph);
    } finally {
      entry.users -= 1;
      if (entry.evicted && entry.users === 0) this.#close(entry);
    }
  }

  async #load(model: string): Promise<Entry | null> {
    const source = await this.#find(model);
    if (!source) return null;
    // Somebody else may have begun to load it while this one looked.
    const other = this.#entries.get(model);
    if (other) return other;
    const graph = readGraph(this.#read, source).then(async (files) => await this.#queue.run(async () => await Graph.open(files)));
    const entry = { graph, bytes: source.model.bytes + (source.data?.bytes ?? 0), users: 0, evicted: false };
    this.#entries.set(model, entry);
    // A load that failed is forgotten, so the next request tries again.
    graph.catch(() => {
      if (this.#entries.get(model) === entry) this.#entries.delete(model);
    });
    this.#evict(model);
    return entry;
  }

  #evict(keep: string): void {
    let total = [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [model, entry] of this.#entries) {
      if (total <= this.#maxBytes) return;
      if (model === keep) continue;
      this.#entries.delete(model);
      total -= entry.bytes;
      entry.evicted = true;
      if (entry.users === 0) this.#close(entry);
    }
  }

  #close(entry: Entry): void {
    const closing = this.#queue.run(async () => await (await entry.graph).close());
    closing.catch((error: unknown) => console.warn(JSON.stringify({ message: 'a tail did not close', error: String(error) })));
  }
}
