/**
 * Networks beside the shipped ones: backbones that operators added, and tuned networks of tenants, kept by last use up to one bound in bytes. Tails run over
 * the shared trunks, so an isolate serves many of them; of whole networks, trunk and tail of its own, one is held at a time, and the next one takes its
 * place.
 */
import { GraftError } from '../../shared/errors.ts';
import { EDGE_NETWORK_MAX_BYTES } from '../../shared/limits.ts';
import { NETWORKS_MAX_BYTES } from './isolate-budget.ts';
import { Graph, readGraph, type GraphSource, type Read } from './graph.ts';
import { outlive } from './outlive.ts';
import type { RunQueue } from './run-queue.ts';
import { forTheLog } from '../domain/for-the-log.ts';

/** `trunk` is null where the shared one feeds the tail. */
export type NetworkSource = { readonly trunk: GraphSource | null; readonly tail: GraphSource };
export type TunedNetwork = { readonly trunk: Graph | null; readonly tail: Graph };
/** Finds a model's graphs; null when the model does not exist or has no network of its own. */
export type FindNetwork = (model: string) => Promise<NetworkSource | null>;

type Entry = {
  readonly network: Promise<TunedNetwork>;
  readonly bytes: number;
  readonly whole: boolean;
  /** Called when it has closed. A promise would belong to the request that loaded it, and never settle for others once that one is over. */
  readonly waiting: (() => void)[];
  users: number;
  evicted: boolean;
};

/**
 * Somebody who is given up by the platform never says that a network is free: once so long nobody has let one go, what is still held takes memory, but
 * keeps nobody waiting. Sixteen requests at once for sixteen networks take longer than this all together, so it counts from the last that was let go.
 */
const SILENT_MAX_MS = 10_000;

export class TunedNetworks {
  readonly #entries = new Map<string, Entry>();
  /** Evicted and still in use: their memory is not free yet. */
  readonly #leaving = new Set<Entry>();
  readonly #read: Read;
  readonly #find: FindNetwork;
  readonly #queue: RunQueue;
  readonly #maxBytes: number;
  constructor(read: Read, find: FindNetwork, queue: RunQueue, maxBytes = NETWORKS_MAX_BYTES) {
    this.#read = read;
    this.#find = find;
    this.#queue = queue;
    this.#maxBytes = maxBytes;
  }

  /** Models held now, least recently used first. */
  get models(): string[] {
    return [...this.#entries.keys()];
  }

  /**
   * Calls `use` with the model's network, which stays open until `use` has ended; answers null when there is none.
   * @param alone whether the caller uses no other network meanwhile: only then it may wait until others have let theirs go
   */
  async with<T>(model: string, use: (network: TunedNetwork) => Promise<T>, alone = true): Promise<T | null> {
    // To its end, or the network would count as used for ever.
    return await outlive(this.#with(model, use, alone));
  }

  async #with<T>(model: string, use: (network: TunedNetwork) => Promise<T>, alone: boolean): Promise<T | null> {
    const held = this.#entries.get(model);
    const entry = held ? this.#claim(model, held) : await this.#load(model, alone);
    if (!entry) return null;
    try {
      return await use(await entry.network);
    } finally {
      entry.users -= 1;
      if (entry.evicted && entry.users === 0) this.#close(entry);
    }
  }

  /** Counted before anything else can happen: closing waits in the queue for what is still to be opened there, so a network that loads needs a user. */
  #claim(model: string, entry: Entry): Entry {
    this.#entries.delete(model);
    this.#entries.set(model, entry);
    entry.users += 1;
    return entry;
  }

  /** Claimed for the caller. */
  async #load(model: string, alone: boolean): Promise<Entry | null> {
    const source = await this.#find(model);
    if (!source) return null;
    // Somebody else may have begun to load it while this one looked.
    const other = this.#entries.get(model);
    if (other) return this.#claim(model, other);
    const bytes = bytesOf(source.tail) + (source.trunk ? bytesOf(source.trunk) : 0);
    const whole = source.trunk !== null;
    if (whole && bytes > EDGE_NETWORK_MAX_BYTES)
      throw new GraftError(
        'unavailable',
        `The network of the model "${model}" has ${bytes} bytes, more than an isolate can hold beside the backbones.`,
      );
    this.#makeRoom(bytes, whole);
    const network = outlive(this.#open(source, alone ? this.#left() : null));
    const entry = this.#claim(model, { network, bytes, whole, waiting: [], users: 0, evicted: false });
    // A load that failed is forgotten, so the next request tries again.
    network.catch(() => {
      if (this.#entries.get(model) === entry) this.#entries.delete(model);
    });
    return entry;
  }

  /** The big graph first: opened second it finds the memory torn and needs more of it. */
  async #open({ trunk, tail }: NetworkSource, room: Promise<void> | null): Promise<TunedNetwork> {
    await room;
    const open = async (source: GraphSource): Promise<Graph> => {
      const files = await readGraph(this.#read, source);
      return await this.#queue.run(async () => await Graph.open(files));
    };
    const ownTrunk = trunk && (await open(trunk));
    try {
      return { trunk: ownTrunk, tail: await open(tail) };
    } catch (error) {
      await ownTrunk?.close();
      throw error;
    }
  }

  /** Another whole network goes in any case; then the least recently used of either kind until the rest, with so many bytes more, fits. */
  #makeRoom(bytes: number, whole: boolean): void {
    let total = [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, bytes);
    const oldest = [...this.#entries];
    const first = whole ? oldest.filter(([, entry]) => entry.whole) : [];
    for (const [model, entry] of new Set([...first, ...oldest])) {
      if (total <= this.#maxBytes && !first.some(([one]) => one === model)) return;
      this.#entries.delete(model);
      total -= entry.bytes;
      entry.evicted = true;
      if (entry.users === 0) this.#close(entry);
      else this.#leaving.add(entry);
    }
  }

  /** When those that leave have left. Each only waits for some that came before it, so nobody waits in a circle. */
  #left(): Promise<void> | null {
    return this.#leaving.size === 0 ? null : this.#untilLeft(new Set(this.#leaving));
  }

  /** The timers are the caller's own: one that is set while another request lets go would end with that one. */
  async #untilLeft(held: Set<Entry>): Promise<void> {
    let wake = (): void => undefined;
    for (const entry of held) {
      entry.waiting.push(() => {
        held.delete(entry);
        wake();
      });
    }
    while (held.size > 0) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const silent = await new Promise<boolean>((resolve) => {
        wake = () => resolve(false);
        timer = setTimeout(() => resolve(true), SILENT_MAX_MS);
      });
      clearTimeout(timer);
      if (!silent) continue;
      for (const entry of held) this.#leaving.delete(entry);
      return;
    }
  }

  #close(entry: Entry): void {
    const closing = this.#queue.run(async () => {
      const { trunk, tail } = await entry.network;
      await tail.close();
      await trunk?.close();
    });
    const done = (): void => {
      this.#leaving.delete(entry);
      for (const tell of entry.waiting) tell();
    };
    closing
      .finally(done)
      .catch((error: unknown) => console.warn(JSON.stringify({ message: 'a tuned network did not close', error: forTheLog(error) })));
  }
}

function bytesOf(source: GraphSource): number {
  return source.model.bytes + (source.data?.bytes ?? 0);
}
