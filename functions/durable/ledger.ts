/** What every change of a classifier goes through: the configuration, the background, and the versions that follow one another. */
import { encodeHead } from '../../shared/head-file.ts';
import { VERSIONS_KEPT } from '../../shared/limits.ts';
import type { ClassifierConfig, ServedHead, VersionInfo } from '../domain/classifier-object.ts';
import type { Background } from '../learning/solve-head.ts';
import type { Objects } from '../objects/objects.ts';
import { baseBackground, tunedBackground } from './backgrounds.ts';
import { solveVersion, type Solved } from './learn.ts';
import * as records from './records.ts';
import { PLAIN, type Recipe } from './records.ts';
import { dropRun, mayRefine, QUIET_MS } from './refinement.ts';
import { forgetUnusedTargets } from './target-inputs.ts';
import { deleteBlob, readBlob, writeBlob, writeMeta } from './tables.ts';
import { forgetUnseenMemberships } from './unseen-memberships.ts';

export type NewVersion = {
  readonly kind: VersionInfo['kind'];
  readonly labels: readonly string[];
  readonly recipe: Recipe;
  readonly evidence: unknown;
  readonly head: Uint8Array | null;
  readonly parent: number | null;
  readonly job?: string;
  /** False: kept, not served (a refused candidate). */
  readonly activate?: boolean;
  /** It is what a refinement made: nothing else changed. */
  readonly refined?: boolean;
};

export class Ledger {
  readonly sql: SqlStorage;
  readonly objects: Objects;
  readonly #storage: DurableObjectStorage;
  #base: Float32Array[] | null = null;
  #changed = false;

  constructor(storage: DurableObjectStorage, objects: Objects) {
    this.#storage = storage;
    this.sql = storage.sql;
    this.objects = objects;
  }

  /** One synchronous transaction: all of `change` or nothing. */
  write<T>(change: () => T): T {
    const result = this.#storage.transactionSync(change);
    if (this.#changed) this.#wake();
    return result;
  }

  /** A large classifier that was changed is refined once it has been quiet. */
  #wake(): void {
    this.#changed = false;
    if (mayRefine(this.sql, this.config())) this.wakeIn(QUIET_MS);
  }

  /** The output gate holds answers until the alarm is stored. */
  wakeIn(milliseconds: number): void {
    void this.#storage.setAlarm(Date.now() + milliseconds);
  }

  /** @throws Error when the classifier was never created */
  config(): ClassifierConfig {
    const config = records.readConfig(this.sql);
    if (!config) throw new Error('this classifier was never created');
    return config;
  }

  /** To be awaited before the transaction: inside it there is no I/O. */
  async loadBackground(config: ClassifierConfig): Promise<void> {
    this.#base ??= await baseBackground(this.sql, this.objects, config.backbone);
  }

  background(recipe: Recipe): Background {
    return { base: this.#base ?? [], tuned: tunedBackground(this.sql, recipe.model) };
  }

  /** The recipe that new versions build on: that of the active one. */
  activeRecipe(): Recipe {
    const recipe = records.selectVersion(this.sql, records.activeVersion(this.sql), null)?.recipe ?? PLAIN;
    return { ...recipe, pending: null };
  }

  served(version: number): ServedHead {
    const recipe = records.selectVersion(this.sql, version, null)?.recipe ?? PLAIN;
    return { version, model: recipe.model, head: readBlob(this.sql, `head:${version}`) };
  }

  /** Solves over the examples as they are now and makes that the active version. */
  solveNext(recipe: Recipe): { version: number; solved: Solved | null } {
    const labels = records.selectLabels(this.sql).map((l) => l.name);
    const solved = solveVersion(this.sql, this.config(), labels, recipe, this.background(recipe), null);
    const head = solved ? encodeHead(solved.head) : null;
    const parent = records.activeVersion(this.sql) || null;
    const version = this.append({ kind: 'instant', labels, recipe, evidence: solved?.evidence ?? null, head, parent });
    return { version, solved };
  }

  append(v: NewVersion): number {
    const n = records.latestVersion(this.sql) + 1;
    this.sql.exec(
      'INSERT INTO versions (n, kind, labels, recipe, evidence, parent, job, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      n,
      v.kind,
      JSON.stringify(v.labels),
      JSON.stringify(v.recipe),
      JSON.stringify(v.evidence ?? null),
      v.parent,
      v.job ?? null,
      Date.now(),
    );
    if (v.head) writeBlob(this.sql, `head:${n}`, v.head);
    if (v.activate !== false) writeMeta(this.sql, 'active', String(n));
    if (!v.refined) {
      dropRun(this.sql);
      this.#changed = true;
    }
    this.#prune(n);
    return n;
  }

  /** The last VERSIONS_KEPT, every trained one and the active one stay. */
  #prune(n: number): void {
    const old = this.sql
      .exec<{ n: number }>("SELECT n FROM versions WHERE n <= ? AND kind <> 'trained' AND n <> ?", n - VERSIONS_KEPT, records.activeVersion(this.sql))
      .toArray();
    for (const row of old) {
      deleteBlob(this.sql, `head:${row.n}`);
      this.sql.exec('DELETE FROM versions WHERE n = ?', row.n);
    }
    if (old.length > 0) forgetUnusedTargets(this.sql);
    // A look at all examples, so not each time.
    if (n % VERSIONS_KEPT === 0) forgetUnseenMemberships(this.sql);
  }
}
