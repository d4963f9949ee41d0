/**
 * One classifier: the single writer of its examples, labels and versions. Every change happens in one synchronous transaction, so concurrent
 * enrollments are serialised and nothing is half-written; what needs I/O (background, trained files) is fetched before the transaction starts.
 */
import { DurableObject } from 'cloudflare:workers';
import type {
  ClassifierConfig,
  ClassifierObject,
  Failure,
  NewExample,
  NewReviewItem,
  Observed,
  Outcome,
  ServedHead,
  StartingModel,
  TargetInput,
  TargetSource,
  TrainedVersion,
  VersionInfo,
} from '../domain/classifier-object.ts';
import { parseSettings, type Bindings } from '../env.ts';
import { makeObjects } from '../objects/objects.ts';
import { adaptVersion } from './adapt.ts';
import { forgetWithLabels } from './brought-labels.ts';
import { deleteLabel, relabelExample, updateLabel, type LabelChange } from './label-changes.ts';
import { DriftMonitor, settleDrift } from './drift.ts';
import { enrollInto } from './enroll.ts';
import { enrolledIds, exportForTraining, headWithout } from './for-training.ts';
import { Ledger } from './ledger.ts';
import { originalsOf } from './originals.ts';
import * as records from './records.ts';
import { PLAIN } from './records.ts';
import { fetchGround, standOn } from './starting-model.ts';
import { onAlarm } from './refinement.ts';
import { fullReport } from './report.ts';
import * as queue from './review-queue.ts';
import { activateVersion, gone, takeTrained } from './take-version.ts';
import { migrate } from './tables.ts';
import { Verifier } from './verify.ts';

const failure = (code: Failure['code'], detail: string): Failure => ({ ok: false, code, detail });

export class Classifier extends DurableObject<Bindings> implements ClassifierObject {
  readonly #sql: SqlStorage;
  readonly #ledger: Ledger;
  readonly #verifier = new Verifier();
  readonly #drift = new DriftMonitor();

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#ledger = new Ledger(ctx.storage, makeObjects(parseSettings(env).s3));
    migrate(ctx.storage);
  }

  async create(
    config: ClassifierConfig,
    labels: readonly { name: string; description: string | null; embedding: Float32Array | null }[],
    start: StartingModel | null = null,
  ) {
    await this.#ledger.loadBackground(config);
    const ground = start && (await fetchGround(this.#ledger.objects, start, config.dimension));
    return this.#ledger.write(() => {
      if (records.readConfig(this.#sql)) return { version: records.activeVersion(this.#sql) };
      records.writeConfig(this.#sql, config);
      for (const label of labels) records.addLabel(this.#sql, label);
      return { version: this.#ledger.solveNext(ground ? standOn(this.#sql, ground, config.dimension) : PLAIN).version };
    });
  }

  async describe() {
    const config = records.readConfig(this.#sql);
    if (!config) return null;
    return { config, version: records.activeVersion(this.#sql), model: this.#ledger.activeRecipe().model, labels: records.selectLabels(this.#sql) };
  }

  async enroll(examples: readonly NewExample[], newLabels: readonly { name: string; embedding: Float32Array | null }[]) {
    return await this.#change((config): Outcome<ReturnType<typeof enrollInto>> => {
      const wrong = examples.find((e) => e.base.length !== config.dimension);
      if (wrong) return failure('unprocessable', `Example ${wrong.id} has ${wrong.base.length} values, expected ${config.dimension}.`);
      return { ok: true, value: enrollInto(this.#ledger, config, examples, newLabels) };
    });
  }

  async listExamples(page: { limit: number; after: string | null; label: string | null }) {
    const data = records.selectExamples(this.#sql, { ...page, limit: page.limit + 1 });
    return { data: data.slice(0, page.limit), hasMore: data.length > page.limit };
  }

  async getExample(id: string) {
    return records.selectExample(this.#sql, id);
  }

  async relabelExample(id: string, labels: readonly string[]) {
    return await this.#change(() => relabelExample(this.#ledger, id, labels));
  }

  async deleteExample(id: string) {
    return await this.#change((): Outcome<{ version: number; objectKey: string | null }> => {
      const example = records.selectExample(this.#sql, id);
      if (!example) return failure('not_found', `There is no example ${id}.`);
      forgetWithLabels(this.#sql, example);
      return { ok: true as const, value: { version: this.#ledger.solveNext(this.#ledger.activeRecipe()).version, objectKey: example.objectKey } };
    });
  }

  async updateLabel(name: string, change: LabelChange) {
    return await this.#change(() => updateLabel(this.#ledger, name, change));
  }

  async deleteLabel(name: string) {
    return await this.#change(() => deleteLabel(this.#ledger, name));
  }

  async configure(change: { falseRejectRate: number | null }) {
    await this.#ready();
    return this.#ledger.write(() => {
      records.writeConfig(this.#sql, { ...this.#ledger.config(), ...change });
      return { version: this.#ledger.solveNext(this.#ledger.activeRecipe()).version };
    });
  }

  async servedHead(known: number | null) {
    const version = records.activeVersion(this.#sql);
    const newest = records.latestVersion(this.#sql);
    return known === version ? { unchanged: true as const, version, newest } : { ...this.#ledger.served(version), newest };
  }

  async headOf(version: number): Promise<Outcome<ServedHead>> {
    const found = records.selectVersion(this.#sql, version, null);
    if (!found) return failure('not_found', `There is no version ${version}.`);
    await this.#ready();
    return { ok: true, value: this.#ledger.served(version) };
  }

  async verify(asked: { label: string; embedding: Float32Array; falseAcceptRate: number }) {
    return await this.#change(() => this.#verifier.verify(this.#ledger, asked));
  }

  async adapt(targets: readonly TargetInput[], from: { model: string | null; source: TargetSource | null }) {
    return await this.#change(() => adaptVersion(this.#ledger, targets, from));
  }

  async listVersions() {
    return records.selectVersions(this.#sql, records.readConfig(this.#sql)?.backbone ?? null);
  }

  async activateVersion(n: number): Promise<Outcome<VersionInfo>> {
    return await activateVersion(this.#ledger, n);
  }

  async takeTrained(trained: TrainedVersion) {
    return await takeTrained(this.#ledger, trained);
  }

  async exportForTraining() {
    return exportForTraining(this.#ledger);
  }

  async enrolledIds() {
    return enrolledIds(this.#sql);
  }

  async headWithout(version: number, examples: readonly string[]) {
    await this.#ready();
    return headWithout(this.#ledger, version, examples);
  }

  async newToReview(sha256s: readonly string[]) {
    return queue.newToReview(this.#sql, sha256s);
  }

  async keepForReview(items: readonly NewReviewItem[], max: number) {
    // A prediction that was answered before the classifier was deleted must not fill its empty tables.
    if (!records.readConfig(this.#sql)) return { kept: [], droppedKeys: [] };
    return this.#ledger.write(() => queue.keepForReview(this.#sql, items, max, Date.now()));
  }

  async listReview(page: { limit: number; after: string | null }) {
    const data = queue.listReview(this.#sql, { ...page, limit: page.limit + 1 });
    return { data: data.slice(0, page.limit), hasMore: data.length > page.limit };
  }

  async getReviewItem(id: string) {
    return queue.getReviewItem(this.#sql, id);
  }

  async enrollReviewed(
    id: string,
    said: { labels: readonly string[]; tuned: { model: string; embedding: Float32Array } | null },
    newLabels: readonly { name: string; embedding: Float32Array | null }[],
  ) {
    return await this.#change(() => queue.enrollReviewed(this.#ledger, id, said, newLabels));
  }

  async dropReviewItem(id: string) {
    return queue.dropReviewItem(this.#sql, id);
  }

  async observe(observed: Observed) {
    // Predictions that were answered before the classifier was deleted.
    if (!records.readConfig(this.#sql)) return [];
    await this.#ready();
    return this.#ledger.write(() => this.#drift.observe(this.#ledger, observed, new Date().toISOString()));
  }

  async settleDrift(event: string) {
    settleDrift(this.#sql, event);
  }

  override async alarm(): Promise<void> {
    await onAlarm(this.#ledger);
  }

  async report(): Promise<unknown> {
    const config = await this.#ready();
    return fullReport(this.#ledger, config);
  }

  async originals(label: string | null) {
    return originalsOf(this.#sql, label);
  }

  async destroy() {
    const objectKeys = originalsOf(this.#sql, null);
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    migrate(this.ctx.storage);
    return { objectKeys };
  }

  /** All of `change` or nothing, once everything is there that takes I/O; who asks may not know yet that the classifier was deleted. */
  async #change<T>(change: (config: ClassifierConfig) => Outcome<T>): Promise<Outcome<T>> {
    const before = records.readConfig(this.#sql);
    if (before) await this.#ledger.loadBackground(before);
    return this.#ledger.write(() => {
      const config = records.readConfig(this.#sql);
      return config ? change(config) : gone;
    });
  }

  /** Everything that a change needs and that takes I/O. */
  async #ready(): Promise<ClassifierConfig> {
    const config = this.#ledger.config();
    await this.#ledger.loadBackground(config);
    return config;
  }
}
