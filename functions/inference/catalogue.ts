/** The backbone catalogue as set-up published it: one manifest a backbone in object storage. */
import { BackboneManifest, SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { objectKeys } from '../../shared/object-keys.ts';
import type { GraphSource, Read, StoredFile } from './graph.ts';

export interface Catalogue {
  /** Null when there is no such backbone. */
  get(id: string): Promise<BackboneManifest | null>;
  /** All shipped backbones that are published. */
  list(): Promise<BackboneManifest[]>;
}

/** Ids are looked up among the shipped ones only, so a caller's text never becomes an object key. */
const SHIPPED: ReadonlySet<string> = new Set(Object.values(SHIPPED_BACKBONES));

export function makeCatalogue(read: Read): Catalogue {
  const known = new Map<string, BackboneManifest>();
  const get = async (id: string): Promise<BackboneManifest | null> => {
    if (!SHIPPED.has(id)) return null;
    const held = known.get(id);
    if (held) return held;
    const bytes = await read(objectKeys.backboneManifest(id));
    // Not remembered: publishing makes it appear without a restart.
    if (!bytes) return null;
    const manifest = BackboneManifest.parse(JSON.parse(new TextDecoder().decode(bytes)));
    known.set(id, manifest);
    return manifest;
  };
  return {
    get,
    list: async () => (await Promise.all([...SHIPPED].map(get))).filter((manifest) => manifest !== null),
  };
}

const stored = (file: { name: string; sha256: string; bytes: number }): StoredFile => ({ ...file, key: objectKeys.blob(file.sha256) });

/** Where the files of a backbone's graph lie. */
export function graphSource(graph: BackboneManifest['trunk']): GraphSource {
  return { model: stored(graph.model), data: graph.data && stored(graph.data) };
}
