/** The one composition root: every adapter that use cases may ask for. Tests build the same from the test environment's bindings. */
import { drizzle } from 'drizzle-orm/d1';
import { newId, type IdKind } from '../shared/ids.ts';
import type { Database } from './db/database.ts';
import * as schema from './db/schema.ts';
import type { ClassifierObject } from './domain/classifier-object.ts';
import type { QueueMessage } from './domain/queue-message.ts';
import { parseSettings, type Bindings, type Settings } from './env.ts';
import { makeCatalogue, type Catalogue } from './inference/catalogue.ts';
import { makeEncoder, type Encoder } from './inference/encoder.ts';
import { Heads } from './inference/heads.ts';
import { makeLabelVectors, type LabelVectors } from './inference/label-vectors.ts';
import { makeObjects, type Objects } from './objects/objects.ts';
import { findModelNetwork } from './stores/model-network.ts';

export type { Database };

export type Deps = {
  readonly settings: Settings;
  readonly db: Database;
  /** The raw binding, for conditional statements that drizzle cannot say. */
  readonly d1: D1Database;
  readonly objects: Objects;
  readonly catalogue: Catalogue;
  readonly encoder: Encoder;
  readonly labelVectors: LabelVectors;
  readonly heads: Heads;
  readonly classifier: (id: string) => ClassifierObject;
  readonly deliveries: Queue<QueueMessage>;
  readonly now: () => number;
  readonly newId: (kind: IdKind) => string;
};

export function makeDeps(env: Bindings): Deps {
  const settings = parseSettings(env);
  const db = drizzle(env.DB, { schema });
  const objects = makeObjects(settings.s3);
  const read = async (key: string) => await objects.get(key);
  const now = () => Date.now();
  const catalogue = makeCatalogue(read, now);
  const classifier = (id: string) => env.CLASSIFIER.getByName(id) as unknown as ClassifierObject;
  const encoder = makeEncoder({ catalogue, read, findNetwork: async (model) => await findModelNetwork(db, model) });
  return {
    settings,
    db,
    d1: env.DB,
    objects,
    catalogue,
    encoder,
    labelVectors: makeLabelVectors({ catalogue, read, encoder }),
    heads: new Heads(async (id, known) => await classifier(id).servedHead(known), now),
    classifier,
    deliveries: env.DELIVERIES,
    now,
    newId,
  };
}

const made = new WeakMap<Bindings, Deps>();

/** The same Deps for all requests of an isolate: settings are parsed once, and a missing one fails every request with its name in the log. */
export function depsFor(env: Bindings): Deps {
  let deps = made.get(env);
  if (!deps) made.set(env, (deps = makeDeps(env)));
  return deps;
}
