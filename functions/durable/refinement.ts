/**
 * Large sets and several labels in the background: a head trained by gradients, in slices by the object's alarm, which joins the active version only where
 * held-out examples say that it is better (learning/refine.ts). Whatever changes the classifier meanwhile makes the run stale: it is dropped whole, weights
 * included, so that nothing of a forgotten example is left, and starts over when the classifier has been quiet for a while.
 */
import { encodeHead } from '../../shared/head-file.ts';
import type { Standardisation } from '../../shared/head.ts';
import type { ClassifierConfig } from '../domain/classifier-object.ts';
import { backgroundCenter } from '../learning/features.ts';
import {
  BATCH,
  planLogistic,
  SLICE_COST,
  startLogistic,
  stepCost,
  trainLogistic,
  type LogisticPlan,
  type LogisticState,
} from '../learning/logistic.ts';
import { standardised, standardisedRows } from '../learning/own-scale.ts';
import { judgeLogistic, logisticComponent, refinedHead, scaledFeatures, scalingOf, type Verdict } from '../learning/refine.ts';
import { solveHead, type LearnExample } from '../learning/solve-head.ts';
import { loadTensorflow, type Tensorflow } from '../learning/tensorflow.ts';
import { placedExamples, solveInput, standardisationFor, type Placed } from './learn.ts';
import { dropScale, keepScale, keptScale } from './kept-scale.ts';
import type { Ledger } from './ledger.ts';
import * as records from './records.ts';
import { deleteBlob, readBlob, readMeta, toBuffer, writeBlob, writeMeta } from './tables.ts';

/** From so many examples on gradients may know better than the closed form; of several labels the closed form is the weaker one. */
export const REFINED_ROWS_MIN = { single_label: 1_000, multi_label: 200 } as const;
/** After the last change. */
export const QUIET_MS = 20_000;
const BETWEEN_SLICES_MS = 100;
/** Weights, with the two moments of each, have to fit beside everything else. */
const WEIGHTS_MAX = 1_500_000;
/** Features that a slice reads. */
const SLICE_BYTES = 12_000_000;
/** Every fifth example is held out, as many as this; scoring them has to fit a slice, too. */
const HELD_EVERY = 5;
const HELD_MAX = 1_024;

type Phase = 'training' | 'judging' | 'done';
/** What is kept between slices; in the report without the plan. */
type Run = {
  readonly phase: Phase;
  /** The active version that it may improve, and the latest one when it began. */
  readonly version: number;
  readonly latest: number;
  readonly plan: LogisticPlan;
  readonly step: number;
  readonly scale: number;
  readonly loss: number | null;
  readonly outcome: { readonly version: number | null; readonly evidence: Omit<Verdict, 'known' | 'factor' | 'temperature'> | null } | null;
};

const readRun = (sql: SqlStorage): Run | null => JSON.parse(readMeta(sql, 'refinement') ?? 'null') as Run | null;
const writeRun = (sql: SqlStorage, run: Run): void => writeMeta(sql, 'refinement', JSON.stringify(run));

/** Nothing of a run may outlive the examples that it saw. */
export function dropRun(sql: SqlStorage): void {
  if (readRun(sql) === null) return;
  writeMeta(sql, 'refinement', 'null');
  dropBlobs(sql);
}

const WEIGHTS = 'refinement';

function dropBlobs(sql: SqlStorage): void {
  deleteBlob(sql, WEIGHTS);
  dropScale(sql);
}

/** For the report. */
export function refinementState(sql: SqlStorage): unknown {
  const run = readRun(sql);
  if (!run) return null;
  const { phase, version, step, plan, loss, outcome } = run;
  return { phase, of_version: version, step, steps: plan.steps, loss, version: outcome?.version ?? null, evidence: outcome?.evidence ?? null };
}

/** Whether the classifier is one that gradients may improve; cheap, for it is asked after every change. */
export function mayRefine(sql: SqlStorage, config: ClassifierConfig): boolean {
  const active = records.activeVersion(sql);
  if (active === 0 || active !== records.latestVersion(sql)) return false;
  // A version that somebody went back to is what they want, also when it had to be solved again.
  const version = records.selectVersion(sql, active, null);
  const { n } = sql.exec<{ n: number }>('SELECT count(*) AS n FROM examples').one();
  return n >= REFINED_ROWS_MIN[config.task] && version?.kind === 'instant' && version.recipe.model === null && !version.recipe.adaptation;
}

/** One slice, and the next one is arranged. What takes I/O comes before the transaction. */
export async function onAlarm(ledger: Ledger): Promise<void> {
  const config = records.readConfig(ledger.sql);
  // Deleted, or changed so that there is nothing to refine; a run that is not wanted any more goes.
  if (!config) return;
  await ledger.loadBackground(config);
  const tf = await loadTensorflow();
  const next = ledger.write(() => refineSlice(ledger, tf));
  if (next !== null) ledger.wakeIn(next);
}

/** Inside one transaction; milliseconds until the next one, or null when there is nothing more to do. */
function refineSlice(ledger: Ledger, tf: Tensorflow): number | null {
  const { sql } = ledger;
  const config = ledger.config();
  let run = readRun(sql);
  if (run && (run.latest !== records.latestVersion(sql) || run.version !== records.activeVersion(sql))) {
    dropRun(sql);
    run = null;
  }
  if (run?.phase === 'done' || (!run && !mayRefine(sql, config))) return null;
  const labels = records.selectLabels(sql).map((l) => l.name);
  const parts = split(placedExamples(sql, labels, null), config.task);
  if (!run) {
    run = begin(ledger, config, labels, parts.learnt);
    if (!run) return null;
  } else if (run.phase === 'training') run = train(ledger, tf, config, run, parts.learnt);
  else run = judge(ledger, config, labels, run, parts);
  writeRun(sql, run);
  if (run.phase === 'done') dropBlobs(sql);
  return run.phase === 'done' ? null : BETWEEN_SLICES_MS;
}

type Parts = { readonly learnt: readonly Placed[]; readonly held: readonly Placed[] };

/** By the digests of their contents: as if at random, and the same however they were enrolled. Rows of several labels have no one label to be likely under. */
function split(placed: readonly Placed[], task: ClassifierConfig['task']): Parts {
  const fair = placed.filter((e) => task === 'multi_label' || e.labelsOf.length === 1);
  const sorted = fair.toSorted((a, b) => (a.sha256 === b.sha256 ? (a.id < b.id ? -1 : 1) : a.sha256 < b.sha256 ? -1 : 1));
  const held = sorted.filter((_, i) => i % HELD_EVERY === HELD_EVERY - 1);
  // The same content may be enrolled twice: what was learnt cannot judge.
  const learnt = sorted.filter((_, i) => i % HELD_EVERY !== HELD_EVERY - 1);
  const known = new Set(learnt.map((e) => e.sha256));
  return { learnt, held: held.filter((e) => !known.has(e.sha256)).slice(0, HELD_MAX) };
}

function readRows(sql: SqlStorage, placed: readonly Placed[], by: Standardisation | null): readonly LearnExample[] {
  const labelsOf = new Map(placed.map((e) => [e.id, e.labelsOf]));
  const members = records.membersAt(sql, null, null, [...labelsOf.keys()]);
  return standardisedRows(
    members.map((m) => ({ id: m.id, base: m.base, tuned: null, labelsOf: labelsOf.get(m.id)! })),
    by,
  );
}

/** As many of the learnt rows as a slice reads, from the `slice`-th on, round and round. */
function chunk(learnt: readonly Placed[], dimension: number, slice: number): readonly Placed[] {
  const size = Math.max(BATCH, Math.floor(SLICE_BYTES / (4 * dimension)));
  const chunks = Math.ceil(learnt.length / size);
  return learnt.filter((_, i) => i % chunks === slice % chunks);
}

/** What features are made of: rows as `readRows` gives them. */
const readAs = (ledger: Ledger, config: ClassifierConfig, by: Standardisation | null) => {
  const dimension = config.dimension + (by ? 1 : 0);
  return { ...config, dimension, center: backgroundCenter(ledger.background(records.PLAIN).base, config.transform, dimension) };
};

function begin(ledger: Ledger, config: ClassifierConfig, labels: readonly string[], learnt: readonly Placed[]): Run | null {
  const { sql } = ledger;
  // A label that only its name speaks for would be forgotten by gradients, and no held-out example could tell.
  const seen = new Set(learnt.flatMap((e) => e.labelsOf));
  if (seen.size < labels.length || labels.length * (config.dimension + 2) > WEIGHTS_MAX) return null;
  const background = ledger.background(records.PLAIN);
  const by = standardisationFor(config, () => solveInput(sql, config, labels, records.PLAIN, background, null, learnt));
  keepScale(sql, by);
  const read = readAs(ledger, config, by);
  const latest = records.latestVersion(sql);
  const plan = planLogistic({ seed: latest, task: config.task, labels: labels.length, dimension: read.dimension, examples: learnt.length });
  const { scale } = scalingOf(readRows(sql, chunk(learnt, read.dimension, 0), by), read, read.center);
  writeState(sql, startLogistic(plan));
  return { phase: 'training', version: records.activeVersion(sql), latest, plan, step: 0, scale, loss: null, outcome: null };
}

function train(ledger: Ledger, tf: Tensorflow, config: ClassifierConfig, run: Run, learnt: readonly Placed[]): Run {
  const steps = Math.max(1, Math.floor(SLICE_COST / stepCost(run.plan)));
  const by = keptScale(ledger.sql);
  const read = readAs(ledger, config, by);
  const rows = readRows(ledger.sql, chunk(learnt, read.dimension, Math.floor(run.step / steps)), by);
  const scaling = { center: read.center, scale: run.scale };
  const x = scaledFeatures(
    rows.map((r) => r.base),
    read,
    scaling,
  );
  const state = readState(ledger.sql, run);
  const loss = trainLogistic(tf, run.plan, state, { x, labelsOf: rows.map((r) => r.labelsOf) }, steps);
  writeState(ledger.sql, state);
  return { ...run, step: state.step, loss, phase: state.step >= run.plan.steps ? 'judging' : 'training' };
}

function judge(ledger: Ledger, config: ClassifierConfig, labels: readonly string[], run: Run, parts: Parts): Run {
  const { sql } = ledger;
  const background = ledger.background(records.PLAIN);
  const by = keptScale(sql);
  const input = (from: readonly Placed[] | null) => standardised(solveInput(sql, config, labels, records.PLAIN, background, null, from), by);
  const read = readAs(ledger, config, by);
  const logistic = logisticComponent(readState(sql, run).values, { ...read, labels }, { center: read.center, scale: run.scale });
  const instant = solveHead(input(parts.learnt));
  const verdict = instant && judgeLogistic(instant.head, logistic, readRows(sql, parts.held, by));
  if (!verdict) return { ...run, phase: 'done', outcome: { version: null, evidence: null } };
  const { known: _known, factor: _factor, temperature: _temperature, ...evidence } = verdict;
  if (!verdict.better) return { ...run, phase: 'done', outcome: { version: null, evidence } };
  const whole = solveHead(input(null))!;
  const head = refinedHead(whole.head, logistic, verdict, background.base);
  const method = head.components.map((c) => c.name).join(' + ');
  const version = ledger.append({
    kind: 'instant',
    labels,
    recipe: records.PLAIN,
    evidence: { ...whole.evidence, method, temperature: head.temperature, threshold: head.openSet?.threshold ?? null, refinement: evidence },
    head: encodeHead({ ...head, standardisation: by }),
    parent: run.version,
    refined: true,
  });
  return { ...run, phase: 'done', version, latest: version, outcome: { version, evidence } };
}

function writeState(sql: SqlStorage, { values, first, second }: LogisticState): void {
  const all = new Float32Array(3 * values.length);
  for (const [i, part] of [values, first, second].entries()) all.set(part, i * values.length);
  writeBlob(sql, WEIGHTS, new Uint8Array(toBuffer(all)));
}

function readState(sql: SqlStorage, run: Run): LogisticState {
  const bytes = readBlob(sql, WEIGHTS);
  if (!bytes) throw new Error('a training that runs has no weights');
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const size = all.length / 3;
  return { step: run.step, values: all.slice(0, size), first: all.slice(size, 2 * size), second: all.slice(2 * size) };
}
