/**
 * One classifier: the single writer of its examples, labels and versions. Every change happens in one synchronous transaction, so concurrent
 * enrollments are serialised and nothing is half-written; what needs I/O (background, trained files) is fetched before the transaction starts.
 */
import { DurableObject } from 'cloudflare:workers';
import { encodeHead } from '../../shared/head-file.ts';
import { newId } from '../../shared/ids.ts';
import { VERSIONS_KEPT } from '../../shared/limits.ts';
import type {
  ClassifierConfig,
  ClassifierObject,
  ExampleInfo,
  Failure,
  NewExample,
  Outcome,
  ServedHead,
  TrainedVersion,
  VersionInfo,
} from '../domain/classifier-object.ts';
import { parseSettings, type Bindings } from '../env.ts';
import type { Background } from '../learning/solve-head.ts';
import { makeObjects, type Objects } from '../objects/objects.ts';
import { baseBackground, keepTunedBackground, tunedBackground } from './backgrounds.ts';
import { solveVersion, warningsFor, type Solved } from './learn.ts';
import * as records from './records.ts';
import { PLAIN, type Recipe } from './records.ts';
import { makeReport } from './report.ts';
import { deleteBlob, migrate, readBlob, readMeta, writeBlob, writeMeta } from './tables.ts';
import { fetchHead, fetchTrainingRows, type TrainingRows } from './trained.ts';

const failure = (code: Failure['code'], detail: string): Failure => ({ ok: false, code, detail });
type Kind = VersionInfo['kind'];

export class Classifier extends DurableObject<Bindings> implements ClassifierObject {
  readonly #sql: SqlStorage;
  readonly #objects: Objects;
  #base: Float32Array[] | null = null;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#objects = makeObjects(parseSettings(env).s3);
    migrate(ctx.storage);
  }

  async create(config: ClassifierConfig, labels: readonly { name: string; description: string | null; embedding: Float32Array | null }[]) {
    await this.#loadBackground(config);
    return this.#write(() => {
      if (records.readConfig(this.#sql)) return { version: records.activeVersion(this.#sql) };
      records.writeConfig(this.#sql, config);
      for (const label of labels) records.addLabel(this.#sql, label);
      return { version: this.#solveNext('instant', PLAIN).version };
    });
  }

  async describe() {
    const config = records.readConfig(this.#sql);
    if (!config) return null;
    return { config, version: records.activeVersion(this.#sql), model: this.#active().model, labels: records.selectLabels(this.#sql) };
  }

  async enroll(examples: readonly NewExample[], newLabels: readonly { name: string; embedding: Float32Array | null }[]) {
    const config = this.#config();
    await this.#loadBackground(config);
    const wrong = examples.find((e) => e.base.length !== config.dimension);
    if (wrong) return failure('unprocessable', `Example ${wrong.id} has ${wrong.base.length} values, expected ${config.dimension}.`);
    return this.#write(() => {
      const before = records.membersAt(this.#sql, null, null).filter((m) => !examples.some((e) => e.id === m.id));
      for (const label of newLabels) records.addLabel(this.#sql, label);
      const since = records.latestVersion(this.#sql) + 1;
      let added = 0;
      for (const e of examples) {
        for (const name of e.labels) records.addLabel(this.#sql, { name, embedding: null });
        if (records.insertExample(this.#sql, e, since, 'enrolled', Date.now())) added++;
      }
      const recipe = this.#active();
      const { version, solved } = added > 0 ? this.#solveNext('instant', recipe) : { version: records.activeVersion(this.#sql), solved: null };
      return { ok: true as const, value: { version, warnings: warningsFor(examples, before, config, this.#background(recipe), solved) } };
    });
  }

  async listExamples(page: { limit: number; after: string | null; label: string | null }) {
    const data = records.selectExamples(this.#sql, { ...page, limit: page.limit + 1 });
    return { data: data.slice(0, page.limit), hasMore: data.length > page.limit };
  }

  async getExample(id: string) {
    return records.selectExample(this.#sql, id);
  }

  async relabelExample(id: string, labels: readonly string[]): Promise<Outcome<{ version: number; example: ExampleInfo }>> {
    await this.#loadBackground(this.#config());
    return this.#write(() => {
      if (!records.selectExample(this.#sql, id)) return failure('not_found', `There is no example ${id}.`);
      const known = new Set(records.selectLabels(this.#sql).map((l) => l.name));
      const missing = labels.find((l) => !known.has(l));
      if (missing !== undefined) return failure('unknown_label', `This classifier has no label "${missing}". It has: ${[...known].join(', ')}.`);
      records.assignLabels(this.#sql, id, labels, records.latestVersion(this.#sql) + 1);
      const { version } = this.#solveNext('instant', this.#active());
      return { ok: true as const, value: { version, example: records.selectExample(this.#sql, id)! } };
    });
  }

  async deleteExample(id: string): Promise<Outcome<{ version: number; objectKey: string | null }>> {
    await this.#loadBackground(this.#config());
    return this.#write(() => {
      const example = records.selectExample(this.#sql, id);
      if (!example) return failure('not_found', `There is no example ${id}.`);
      records.forgetExample(this.#sql, id);
      return { ok: true as const, value: { version: this.#solveNext('instant', this.#active()).version, objectKey: example.objectKey } };
    });
  }

  async updateLabel(name: string, change: { name?: string; description?: string | null; embedding?: Float32Array | null; mergeInto?: string }) {
    await this.#loadBackground(this.#config());
    return this.#write(() => {
      const labels = records.selectLabels(this.#sql);
      const label = labels.find((l) => l.name === name);
      if (!label) return failure('not_found', `This classifier has no label "${name}".`);
      const target = change.mergeInto ?? change.name;
      const exists = labels.some((l) => l.name === target);
      if (change.mergeInto !== undefined && (!exists || target === name))
        return failure('unknown_label', `There is no other label "${target}" to merge into.`);
      if (change.mergeInto === undefined && target !== undefined && target !== name && exists)
        return failure('conflict', `There is a label "${target}" already; use merge_into to join them.`);
      if (change.description !== undefined) this.#sql.exec('UPDATE labels SET description = ? WHERE name = ?', change.description, name);
      if (target !== undefined && target !== name) {
        this.#moveExamples(name, target);
        if (change.mergeInto === undefined) this.#sql.exec('UPDATE labels SET name = ? WHERE name = ?', target, name);
        else this.#sql.exec('DELETE FROM labels WHERE name = ?', name);
      }
      if (change.embedding) records.addLabel(this.#sql, { name: target ?? name, embedding: change.embedding });
      const { version } = this.#solveNext('instant', this.#active());
      return { ok: true as const, value: { version, labels: records.selectLabels(this.#sql) } };
    });
  }

  async deleteLabel(name: string): Promise<Outcome<{ version: number; objectKeys: string[] }>> {
    await this.#loadBackground(this.#config());
    return this.#write(() => {
      if (!records.selectLabels(this.#sql).some((l) => l.name === name)) return failure('not_found', `This classifier has no label "${name}".`);
      const objectKeys: string[] = [];
      const since = records.latestVersion(this.#sql) + 1;
      for (const e of records.selectExamples(this.#sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: name })) {
        const rest = e.labels.filter((l) => l !== name);
        if (rest.length > 0) records.assignLabels(this.#sql, e.id, rest, since);
        else {
          records.forgetExample(this.#sql, e.id);
          if (e.objectKey) objectKeys.push(e.objectKey);
        }
      }
      this.#sql.exec('DELETE FROM labels WHERE name = ?', name);
      this.#sql.exec('DELETE FROM label_vectors WHERE name = ?', name);
      return { ok: true as const, value: { version: this.#solveNext('instant', this.#active()).version, objectKeys } };
    });
  }

  async configure(change: { falseRejectRate: number | null }) {
    const config = this.#config();
    await this.#loadBackground(config);
    return this.#write(() => {
      records.writeConfig(this.#sql, { ...config, ...change });
      return { version: this.#solveNext('instant', this.#active()).version };
    });
  }

  async servedHead(known: number | null) {
    const version = records.activeVersion(this.#sql);
    if (known === version) return { unchanged: true as const, version };
    return this.#served(version);
  }

  async headOf(version: number): Promise<Outcome<ServedHead>> {
    const found = records.selectVersion(this.#sql, version, null);
    if (!found) return failure('not_found', `There is no version ${version}.`);
    await this.#loadBackground(this.#config());
    return { ok: true, value: this.#served(version) };
  }

  async listVersions() {
    return records.selectVersions(this.#sql, records.readConfig(this.#sql)?.backbone ?? null);
  }

  async activateVersion(n: number): Promise<Outcome<VersionInfo>> {
    const config = this.#config();
    await this.#loadBackground(config);
    const wanted = records.selectVersion(this.#sql, n, config.backbone);
    if (!wanted) return failure('not_found', `There is no version ${n}.`);
    const pending = wanted.recipe.pending;
    const rows = pending ? await fetchTrainingRows(this.#objects, pending.embeddingsKey, config.dimension) : null;
    return this.#write(() => {
      const stored = readBlob(this.#sql, `head:${n}`);
      writeMeta(this.#sql, 'activated_after', String(records.latestVersion(this.#sql)));
      if (stored && !pending) {
        writeMeta(this.#sql, 'active', String(n));
        return { ok: true as const, value: records.selectVersion(this.#sql, n, config.backbone)! };
      }
      // Solved again without what was forgotten since, or with training rows that a refused job had left outside.
      const recipe = { ...wanted.recipe, pending: null };
      const m = records.latestVersion(this.#sql) + 1;
      if (pending && rows && recipe.model) this.#importRows(recipe.model, pending, rows, wanted.labels, m);
      if (stored) this.#append('restored', wanted.labels, recipe, wanted.evidence, stored, n, null);
      else {
        const solved = solveVersion(this.#sql, config, wanted.labels, recipe, this.#background(recipe), n);
        this.#append('restored', wanted.labels, recipe, solved?.evidence ?? null, solved ? encodeHead(solved.head) : null, n, null);
      }
      return { ok: true as const, value: records.selectVersion(this.#sql, m, config.backbone)! };
    });
  }

  async takeTrained(t: TrainedVersion) {
    const config = this.#config();
    const again = this.#takenBefore(t.job);
    if (again) return { ok: true as const, value: again };
    await this.#loadBackground(config);
    const [{ bytes, head }, rows] = await Promise.all([
      fetchHead(this.#objects, t.headKey),
      fetchTrainingRows(this.#objects, t.embeddingsKey, config.dimension),
    ]);
    return this.#write(() => {
      const repeated = this.#takenBefore(t.job);
      if (repeated) return { ok: true as const, value: repeated };
      const overtaken = Number(readMeta(this.#sql, 'activated_after') ?? -1) >= t.comparedWith;
      const activate = t.activate && !overtaken;
      const tuned = head.components.find((c) => c.embedding === 'tuned' && c.mix !== 0);
      const pending = { embeddingsKey: t.embeddingsKey, datasetId: t.datasetId, enrolledIds: t.enrolledIds };
      const recipe: Recipe = {
        model: tuned ? t.model : null,
        tunedMix: tuned?.mix ?? 0,
        temperature: head.temperature,
        pending: activate ? null : pending,
      };
      if (tuned && rows.backgroundTuned) keepTunedBackground(this.#sql, t.model, rows.backgroundTuned, config.dimension);
      const n = records.latestVersion(this.#sql) + 1;
      const newer = records.latestVersion(this.#sql) > t.comparedWith;
      if (activate) {
        for (const name of head.labels) records.addLabel(this.#sql, { name, embedding: null });
        this.#importRows(t.model, pending, rows, head.labels, n);
      }
      const reason = t.activate && overtaken ? 'Another version was activated while the job ran.' : null;
      this.#append('trained', head.labels, recipe, { trained: t.evidence, job: t.job }, bytes, t.comparedWith, t.job, activate);
      if (activate) writeMeta(this.#sql, 'activated_after', String(n));
      // Examples enrolled while the job ran: their classes and rows join at once, on top of the trained version.
      if (activate && newer) this.#solveNext('instant', recipe);
      writeMeta(this.#sql, `job:${t.job}`, JSON.stringify({ version: n, activated: activate, reason }));
      return { ok: true as const, value: this.#takenBefore(t.job)! };
    });
  }

  async exportForTraining() {
    const version = records.activeVersion(this.#sql);
    const { head, model } = this.#served(version);
    const examples = records
      .selectExamples(this.#sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: null })
      .filter((e) => e.source === 'enrolled');
    return { version, model, head, examples, falseRejectRate: this.#config().falseRejectRate };
  }

  async report(): Promise<unknown> {
    const config = this.#config();
    await this.#loadBackground(config);
    const labels = records.selectLabels(this.#sql);
    const recipe = this.#active();
    const names = labels.map((l) => l.name);
    return makeReport(records.activeVersion(this.#sql), labels, solveVersion(this.#sql, config, names, recipe, this.#background(recipe), null));
  }

  async destroy() {
    const all = records.selectExamples(this.#sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: null });
    await this.ctx.storage.deleteAll();
    migrate(this.ctx.storage);
    return { objectKeys: all.flatMap((e) => e.objectKey ?? []) };
  }

  #write<T>(change: () => T): T {
    return this.ctx.storage.transactionSync(change);
  }

  #config(): ClassifierConfig {
    const config = records.readConfig(this.#sql);
    if (!config) throw new Error('this classifier was never created');
    return config;
  }

  /** The recipe that new versions build on: that of the active one. */
  #active(): Recipe {
    const recipe = records.selectVersion(this.#sql, records.activeVersion(this.#sql), null)?.recipe ?? PLAIN;
    return { ...recipe, pending: null };
  }

  async #loadBackground(config: ClassifierConfig): Promise<void> {
    this.#base ??= await baseBackground(this.#sql, this.#objects, config.backbone);
  }

  #background(recipe: Recipe): Background {
    return { base: this.#base ?? [], tuned: tunedBackground(this.#sql, recipe.model) };
  }

  #solveNext(kind: Kind, recipe: Recipe): { version: number; solved: Solved | null } {
    const config = this.#config();
    const labels = records.selectLabels(this.#sql).map((l) => l.name);
    const solved = solveVersion(this.#sql, config, labels, recipe, this.#background(recipe), null);
    const version = this.#append(
      kind,
      labels,
      recipe,
      solved?.evidence ?? null,
      solved ? encodeHead(solved.head) : null,
      records.activeVersion(this.#sql) || null,
      null,
    );
    return { version, solved };
  }

  #append(
    kind: Kind,
    labels: readonly string[],
    recipe: Recipe,
    evidence: unknown,
    head: Uint8Array | null,
    parent: number | null,
    job: string | null,
    activate = true,
  ): number {
    const n = records.latestVersion(this.#sql) + 1;
    this.#sql.exec(
      'INSERT INTO versions (n, kind, labels, recipe, evidence, parent, job, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      n,
      kind,
      JSON.stringify(labels),
      JSON.stringify(recipe),
      JSON.stringify(evidence ?? null),
      parent,
      job,
      Date.now(),
    );
    if (head) writeBlob(this.#sql, `head:${n}`, head);
    if (activate) writeMeta(this.#sql, 'active', String(n));
    this.#prune(n);
    return n;
  }

  /** The last VERSIONS_KEPT, every trained one and the active one stay. */
  #prune(n: number): void {
    const old = this.#sql
      .exec<{ n: number }>(
        "SELECT n FROM versions WHERE n <= ? AND kind <> 'trained' AND n <> ?",
        n - VERSIONS_KEPT,
        records.activeVersion(this.#sql),
      )
      .toArray();
    for (const row of old) {
      deleteBlob(this.#sql, `head:${row.n}`);
      this.#sql.exec('DELETE FROM versions WHERE n = ?', row.n);
    }
  }

  #served(version: number): ServedHead {
    const recipe = records.selectVersion(this.#sql, version, null)?.recipe ?? PLAIN;
    const stored = readBlob(this.#sql, `head:${version}`);
    return { version, model: recipe.model, head: stored };
  }

  #moveExamples(from: string, to: string): void {
    const since = records.latestVersion(this.#sql) + 1;
    for (const e of records.selectExamples(this.#sql, { limit: Number.MAX_SAFE_INTEGER, after: null, label: from }))
      records.assignLabels(this.#sql, e.id, [...new Set(e.labels.map((l) => (l === from ? to : l)))], since);
  }

  /** Training rows become examples (source `dataset`); enrolled examples get their tuned embedding. Held-out rows are never among them. */
  #importRows(model: string, from: NonNullable<Recipe['pending']>, rows: TrainingRows, labels: readonly string[], since: number): void {
    const there = new Map(
      this.#sql
        .exec<{ id: string; external_id: string }>("SELECT id, external_id FROM examples WHERE source = 'dataset'")
        .toArray()
        .map((r) => [r.external_id, r.id]),
    );
    for (const [i, base] of rows.base.entries()) {
      const label = labels[rows.labels[i] ?? -1];
      if (label === undefined) continue;
      const externalId = `${from.datasetId}#${rows.rows[i]}`;
      const embedding = rows.tuned?.[i];
      const known = there.get(externalId);
      if (known !== undefined) {
        if (embedding) records.setTuned(this.#sql, known, model, embedding);
        continue;
      }
      const tuned = embedding ? { model, embedding } : null;
      const example = { id: newId('example'), labels: [label], base, tuned, sha256: externalId, contentType: null, objectKey: null, externalId };
      records.insertExample(this.#sql, example, since, 'dataset', Date.now());
    }
    for (const [i, id] of from.enrolledIds.entries()) {
      const embedding = rows.enrolledTuned?.[i];
      if (embedding) records.setTuned(this.#sql, id, model, embedding);
    }
  }

  #takenBefore(job: string): { version: number; activated: boolean; activeVersion: number; reason: string | null } | null {
    const text = readMeta(this.#sql, `job:${job}`);
    if (text === null) return null;
    const kept = JSON.parse(text) as { version: number; activated: boolean; reason: string | null };
    return { ...kept, activeVersion: records.activeVersion(this.#sql) };
  }
}
