/** The backbone catalogue: the shipped networks as set-up published them, and those that operators added. One manifest a backbone in object storage. */
import { BackboneId, BackboneIndex, BackboneManifest, SHIPPED_BACKBONES, isShipped } from '../../shared/catalogue.ts';
import { KEY_CACHE_TTL_SECONDS } from '../../shared/limits.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import type { GraphSource, Read, StoredFile } from './graph.ts';

export interface Catalogue {
  /** Null when there is no such backbone. */
  get(id: string): Promise<BackboneManifest | null>;
  /** The shipped backbones that are published, then those that operators added. */
  list(): Promise<BackboneManifest[]>;
  /** After a change through this isolate; others notice a removal within KEY_CACHE_TTL_SECONDS. */
  forget(id: string): void;
}

const json = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** Ids of added backbones in the index's bytes; null: nobody has added one yet. */
export function readIndex(bytes: Uint8Array | null): BackboneIndex {
  return bytes ? BackboneIndex.parse(json(bytes)) : { format: 'graft-backbone-index-1', backbones: [] };
}

export function makeCatalogue(read: Read, now: () => number): Catalogue {
  const known = new Map<string, { manifest: BackboneManifest; readAt: number }>();
  const get = async (id: string): Promise<BackboneManifest | null> => {
    // A caller's text becomes an object key only when it has the form of an id.
    if (!BackboneId.safeParse(id).success) return null;
    const held = known.get(id);
    if (held && (isShipped(id) || now() - held.readAt < KEY_CACHE_TTL_SECONDS * 1_000)) return held.manifest;
    const bytes = await read(objectKeys.backboneManifest(id));
    known.delete(id);
    // An absence is not remembered: publishing makes it appear without a restart.
    if (!bytes) return null;
    const manifest = BackboneManifest.parse(json(bytes));
    known.set(id, { manifest, readAt: now() });
    return manifest;
  };
  return {
    get,
    list: async () => {
      const index = readIndex(await read(objectKeys.backboneIndex));
      const added = index.backbones.flatMap(({ id, removed }) => (removed ? [] : [id]));
      return (await Promise.all([...Object.values(SHIPPED_BACKBONES), ...added].map(get))).filter((manifest) => manifest !== null);
    },
    forget: (id) => void known.delete(id),
  };
}

const stored = (file: { name: string; sha256: string; bytes: number }): StoredFile => ({ ...file, key: objectKeys.blob(file.sha256) });

/** Where the files of a backbone's graph lie. */
export function graphSource(graph: BackboneManifest['trunk']): GraphSource {
  return { model: stored(graph.model), data: graph.data && stored(graph.data) };
}
