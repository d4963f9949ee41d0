/** How a trained version enters a classifier, and how any version comes back: fetch first, then one transaction. */
import { GraftError } from '../../shared/errors.ts';
import { encodeHead } from '../../shared/head-file.ts';
import { newId } from '../../shared/ids.ts';
import type { Failure, Outcome, TrainedVersion, VersionInfo } from '../domain/classifier-object.ts';
import { keepTunedBackground } from './backgrounds.ts';
import { chose, overtakenSince } from './chosen.ts';
import { rowName } from './forget.ts';
import { placedExamples, solveVersion } from './learn.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';
import type { Pending, Recipe } from './records.ts';
import { seenBy } from './served-members.ts';
import { readBlob, readMeta, writeMeta } from './tables.ts';
import { fetchHead, fetchTrainingRows, type TrainingRows } from './trained.ts';

type Taken = { version: number; activated: boolean; activeVersion: number; reason: string | null };
export const gone: Failure = { ok: false, code: 'not_found', detail: 'There is no such classifier.' };
const notFound = (n: number): Failure => ({ ok: false, code: 'not_found', detail: `There is no version ${n}.` });

const modelGone = (n: number): Failure => ({
  ok: false,
  code: 'conflict',
  detail: `The model of version ${n} was deleted, and with it the rows that it was trained on; it cannot be served.`,
});

/** Serves version `n` again; solved again without what was forgotten since. */
export async function activateVersion(ledger: Ledger, n: number): Promise<Outcome<VersionInfo>> {
  const { sql } = ledger;
  const config = records.readConfig(sql);
  if (!config) return gone;
  await ledger.loadBackground(config);
  const wanted = records.selectVersion(sql, n, config.backbone);
  if (!wanted) return notFound(n);
  const pending = wanted.recipe.pending;
  if (pending && !(await ledger.objects.head(pending.embeddingsKey))) return modelGone(n);
  const rows = pending ? await fetchTrainingRows(ledger.objects, pending.embeddingsKey, config.dimension) : null;
  return ledger.write(() => {
    const stored = readBlob(sql, `head:${n}`);
    const seen = seenBy(sql, n);
    if (stored && !pending) {
      writeMeta(sql, 'active', String(n));
      chose(sql, n);
      return { ok: true, value: records.selectVersion(sql, n, config.backbone)! };
    }
    // Solved again without what was forgotten since, or with training rows that a refused job had left outside.
    const recipe = { ...wanted.recipe, pending: null };
    const m = records.latestVersion(sql) + 1;
    if (pending && rows) {
      // As when a job is promoted: without its rows and labels the next enrollment would unlearn what it was trained on.
      for (const name of wanted.labels) records.addLabel(sql, { name, embedding: null });
      // Rows may have been deleted while they were fetched.
      importRows(sql, recipe.model, records.selectVersion(sql, n, null)?.recipe.pending ?? pending, rows, wanted.labels, m);
    }
    if (stored) ledger.append({ kind: 'restored', labels: wanted.labels, recipe, evidence: wanted.evidence, head: stored, parent: n });
    else {
      const then = { ...seen, brought: [...seen.brought, m] };
      const labels = labelsLeft(sql, wanted.labels, then);
      const solved = solveVersion(sql, config, labels, recipe, ledger.background(recipe), then);
      const head = solved ? encodeHead(solved.head) : null;
      ledger.append({ kind: 'restored', labels, recipe, evidence: solved?.evidence ?? null, head, parent: n });
    }
    chose(sql, m);
    return { ok: true, value: records.selectVersion(sql, m, config.backbone)! };
  });
}

/** Without those that went with the last of their examples: nothing that was forgotten is answered again, not by its name either. */
function labelsLeft(sql: SqlStorage, labels: readonly string[], seen: records.Seen): string[] {
  const left = new Set(records.selectLabels(sql).map((label) => label.name));
  for (const { labelsOf } of placedExamples(sql, labels, seen)) for (const c of labelsOf) left.add(labels[c]!);
  return labels.filter((name) => left.has(name));
}

/** Idempotent by job. Not activated when another version was chosen while the job ran. */
export async function takeTrained(ledger: Ledger, t: TrainedVersion): Promise<Outcome<Taken>> {
  const { sql } = ledger;
  const config = records.readConfig(sql);
  if (!config) return gone;
  const again = takenBefore(sql, t.job);
  if (again) return { ok: true, value: again };
  await ledger.loadBackground(config);
  const files = await readFiles(ledger, t, config.dimension);
  if (!files.ok) return files;
  const { bytes, head, rows } = files.value;
  if (head.task !== config.task) {
    const detail = `The trained head is for the task "${head.task}", this classifier for "${config.task}".`;
    return { ok: false, code: 'unprocessable', detail };
  }
  return ledger.write(() => {
    const repeated = takenBefore(sql, t.job);
    if (repeated) return { ok: true, value: repeated };
    const overtaken = overtakenSince(sql, t.comparedWith);
    const activate = t.activate && !overtaken;
    const tuned = head.components.find((c) => c.embedding === 'tuned' && c.mix !== 0);
    const pending = { embeddingsKey: t.embeddingsKey, datasetId: t.datasetId, enrolledIds: t.enrolledIds };
    const whole = allThere(sql, t.enrolledIds);
    const recipe: Recipe = {
      model: tuned ? t.model : null,
      tunedMix: tuned?.mix ?? 0,
      temperature: head.temperature,
      pending: activate ? null : pending,
    };
    if (tuned && rows.backgroundTuned) keepTunedBackground(sql, t.model, rows.backgroundTuned, config.dimension);
    const n = records.latestVersion(sql) + 1;
    const newer = records.latestVersion(sql) > t.comparedWith;
    if (activate) {
      for (const name of labelsToAdd(sql, t, head.labels, rows)) records.addLabel(sql, { name, embedding: null });
      importRows(sql, t.model, pending, rows, head.labels, n);
    }
    const reason = t.activate && overtaken ? 'Another version was activated while the job ran.' : null;
    const evidence = { trained: t.evidence, job: t.job };
    // A head that saw what was forgotten while the job ran is not kept: the version is solved again, without it, when somebody asks for it.
    const kept = whole ? bytes : null;
    ledger.append({ kind: 'trained', labels: head.labels, recipe, evidence, head: kept, parent: t.comparedWith, job: t.job, activate });
    if (activate) chose(sql, n);
    // Examples enrolled while the job ran: their classes and rows join at once, on top of the trained version.
    if (activate && (newer || !whole)) ledger.solveNext(recipe);
    writeMeta(sql, `job:${t.job}`, JSON.stringify({ version: n, activated: activate, reason }));
    return { ok: true, value: takenBefore(sql, t.job)! };
  });
}

type Files = Awaited<ReturnType<typeof fetchHead>> & { readonly rows: TrainingRows };

/** Throws when the storage does not answer, which it will later; what is not there or not what it should be never will be. */
async function readFiles(ledger: Ledger, t: TrainedVersion, dimension: number): Promise<Outcome<Files>> {
  try {
    const [head, rows] = await Promise.all([fetchHead(ledger.objects, t.headKey), fetchTrainingRows(ledger.objects, t.embeddingsKey, dimension)]);
    return { ok: true, value: { ...head, rows } };
  } catch (error) {
    if (error instanceof GraftError || !(error instanceof Error)) throw error;
    return { ok: false, code: 'unprocessable', detail: `The files of the trained version cannot be read: ${error.message.slice(0, 300)}` };
  }
}

function allThere(sql: SqlStorage, ids: readonly string[]): boolean {
  const wanted = new Set(ids);
  const { n } = sql.exec<{ n: number }>('SELECT count(*) AS n FROM examples WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(ids)).one();
  return n === wanted.size;
}

/** Not those that the version compared with had and that were deleted or renamed since, unless training rows have them. */
function labelsToAdd(sql: SqlStorage, t: TrainedVersion, labels: readonly string[], { labelsOf }: TrainingRows): string[] {
  const before = new Set(records.selectVersion(sql, t.comparedWith, null)?.labels ?? []);
  const taught = new Set(labelsOf.flat());
  return labels.filter((name, c) => !before.has(name) || taught.has(c));
}

/**
 * Training rows become examples (source `dataset`); enrolled examples get their tuned embedding. Held-out rows are never among them.
 * @param model null: its head reads the plain backbone, so tuned embeddings are of no use
 */
function importRows(sql: SqlStorage, model: string | null, from: Pending, rows: TrainingRows, labels: readonly string[], since: number): void {
  const there = new Map(
    sql
      .exec<{ id: string; external_id: string }>("SELECT id, external_id FROM examples WHERE source = 'dataset'")
      .toArray()
      .map((r) => [r.external_id, r.id]),
  );
  for (const [i, base] of rows.base.entries()) {
    const own = rows.labelsOf[i]!.map((c) => labels[c]);
    if (!own.every((name) => name !== undefined)) continue;
    if (from.forgotten?.includes(rows.rows[i]!)) continue;
    const externalId = rowName(from.datasetId, rows.rows[i]!);
    const tuned = model !== null && rows.tuned?.[i] ? { model, embedding: rows.tuned[i] } : null;
    const known = there.get(externalId);
    if (known !== undefined) {
      if (tuned) records.setTuned(sql, known, tuned.model, tuned.embedding);
      // With the labels that they have by now.
      records.assignLabels(sql, known, records.selectExample(sql, known)!.labels, since);
      continue;
    }
    const example = { id: newId('example'), labels: own, base, tuned, sha256: externalId, contentType: null, objectKey: null, externalId };
    records.insertExample(sql, example, since, 'dataset', Date.now());
  }
  for (const [i, id] of from.enrolledIds.entries()) {
    const embedding = rows.enrolledTuned?.[i];
    if (model !== null && embedding) records.setTuned(sql, id, model, embedding);
  }
}

function takenBefore(sql: SqlStorage, job: string): Taken | null {
  const text = readMeta(sql, `job:${job}`);
  if (text === null) return null;
  const kept = JSON.parse(text) as Omit<Taken, 'activeVersion'>;
  return { ...kept, activeVersion: records.activeVersion(sql) };
}
