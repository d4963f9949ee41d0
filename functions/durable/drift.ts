/**
 * The drift monitor of a classifier. Isolates hand in what they predicted; the window is judged when it holds WINDOW_MIN predictions, against the
 * examples of the version served then. An alarm stays until somebody has told of it, so that an isolate that dies in between loses none.
 */
import { newId } from '../../shared/ids.ts';
import { DRIFT_WINDOW_MIN } from '../../shared/limits.ts';
import type { DriftAlarm, DriftState, JudgedWindow, Observed } from '../domain/classifier-object.ts';
import { judgeWindow, type Baseline, type DriftCause } from '../domain/drift.ts';
import { driftReference, type DriftReference } from '../domain/drift-reference.ts';
import { addedUp, type LabelCounts } from '../domain/label-counts.ts';
import { joinMoments } from '../domain/moments.ts';
import { seededRandom } from '../../shared/statistics.ts';
import type { Ledger } from './ledger.ts';
import { driftRows } from './drift-rows.ts';
import { activeVersion, selectVersion } from './records.ts';
import { deleteBlob, readBlob, readMeta, toBuffer, writeBlob, writeMeta } from './tables.ts';

type Open = {
  readonly n: number;
  readonly squares: number;
  readonly labels: LabelCounts;
  readonly unknown: number;
  readonly from: string;
};
type Measured = { readonly version: number; readonly reference: DriftReference | null; readonly enrolled: LabelCounts };
type Kept = {
  /** The labels and the unknown rule that counts are about; with others, counting starts again. */
  readonly about: string;
  /** What the version was adapted to; absent in states from before there was any. */
  readonly target?: string | null;
  readonly open: Open | null;
  readonly baseline: Baseline | null;
  readonly causes: readonly DriftCause[];
  readonly since: string | null;
  readonly last: JudgedWindow | null;
  /** Raised and not told yet. */
  readonly alarms: readonly DriftAlarm[];
};
const MEAN = 'drift:mean';

export class DriftMonitor {
  #measured: Measured | null = null;

  /** Inside a transaction, with the background loaded. */
  observe(ledger: Ledger, observed: Observed, now: string): readonly DriftAlarm[] {
    const { sql } = ledger;
    const version = activeVersion(sql);
    const labels = selectVersion(sql, version, null)?.labels ?? [];
    const { falseRejectRate, task, dimension } = ledger.config();
    const target = targetOf(sql, version);
    const kept = readKept(sql, fingerprint(JSON.stringify([labels, falseRejectRate])), target);
    // Predicted before a label was renamed or deleted, or with other features: of no use to compare with what is enrolled now.
    const elsewhere = observed.version !== version && targetOf(sql, observed.version) !== target;
    const stale = elsewhere || Object.keys(observed.labels).some((label) => !labels.includes(label)) || observed.moments.mean.length !== dimension;
    if (stale || observed.moments.n === 0) return kept.alarms;
    const open = joinOpen(sql, kept.open, observed, now);
    if (open.n < DRIFT_WINDOW_MIN) {
      writeBlob(sql, MEAN, new Uint8Array(toBuffer(open.mean)));
      writeKept(sql, { ...kept, open: open.counts });
      return kept.alarms;
    }
    const { reference, enrolled } = this.#referenceOf(ledger, version);
    const window = { mean: open.mean, labels: open.counts.labels, unknown: open.counts.unknown, predictions: open.n };
    // Seeded, so that the same window is always judged alike.
    const random = seededRandom(version * 7_919 + open.n);
    const known = { reference, enrolled, falseRejectRate, several: task === 'multi_label' };
    const { figures, causes, baseline } = judgeWindow(window, known, kept, random);
    const last = { version, predictions: open.n, from: open.counts.from, to: now, ...figures };
    const raised = causes.some((cause) => !kept.causes.includes(cause));
    const alarms = raised ? [...kept.alarms, { event: newId('event'), causes, window: last }] : kept.alarms;
    deleteBlob(sql, MEAN);
    writeKept(sql, {
      about: kept.about,
      target,
      open: null,
      baseline,
      causes,
      since: causes.length === 0 ? null : (kept.since ?? now),
      last,
      alarms,
    });
    return alarms;
  }

  /** What the served version says of its traffic (drift-rows.ts); the same until another version is served. */
  #referenceOf(ledger: Ledger, version: number): Measured {
    if (this.#measured?.version === version) return this.#measured;
    const { rows, counts } = driftRows(ledger);
    this.#measured = { version, reference: driftReference(rows, seededRandom(version)), enrolled: counts };
    return this.#measured;
  }
}

/** The target inputs that a version is adapted to: it centres features by them. */
const targetOf = (sql: SqlStorage, version: number): string | null => selectVersion(sql, version, null)?.recipe.adaptation?.target ?? null;

/** The alarm was told. */
export function settleDrift(sql: SqlStorage, event: string): void {
  const kept = keptOrNull(sql);
  if (kept) writeKept(sql, { ...kept, alarms: kept.alarms.filter((alarm) => alarm.event !== event) });
}

/** What the monitor knows now. */
export function driftState(sql: SqlStorage): DriftState {
  const kept = keptOrNull(sql);
  const status = !kept?.last ? 'collecting' : kept.causes.length > 0 ? 'drifting' : 'normal';
  return {
    status,
    causes: kept?.causes ?? [],
    since: kept?.since ?? null,
    collected: kept?.open?.n ?? 0,
    window: DRIFT_WINDOW_MIN,
    last: kept?.last ?? null,
  };
}

function joinOpen(sql: SqlStorage, before: Open | null, observed: Observed, now: string): { n: number; mean: Float64Array; counts: Open } {
  const stored = before ? readBlob(sql, MEAN) : null;
  const old = before && stored ? { n: before.n, mean: new Float64Array(stored.buffer), squares: before.squares } : null;
  const { n, mean, squares } = old ? joinMoments(old, observed.moments) : observed.moments;
  const labels = addedUp([...Object.entries((old && before?.labels) ?? {}), ...Object.entries(observed.labels)]);
  const unknown = (old ? (before?.unknown ?? 0) : 0) + observed.unknown;
  return { n, mean, counts: { n, squares, labels, unknown, from: old ? (before?.from ?? now) : now } };
}

function keptOrNull(sql: SqlStorage): Kept | null {
  const text = readMeta(sql, 'drift');
  return text === null ? null : (JSON.parse(text) as Kept);
}

function readKept(sql: SqlStorage, about: string, target: string | null): Kept {
  const kept = keptOrNull(sql) ?? { about, target, open: null, baseline: null, causes: [], since: null, last: null, alarms: [] };
  const sameTarget = (kept.target ?? null) === target;
  if (kept.about === about && sameTarget) return { ...kept, target };
  // Alarms about labels and unknowns were relative to counts that no longer mean the same, those about features to another domain.
  const causes = kept.causes.filter((cause) => cause === 'features' && sameTarget);
  return { ...kept, about, target, open: null, baseline: null, causes, since: causes.length === 0 ? null : kept.since };
}

/** 32-bit FNV-1a: enough to see that something changed, and short beside a thousand labels. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16);
}

const writeKept = (sql: SqlStorage, kept: Kept): void => writeMeta(sql, 'drift', JSON.stringify(kept));
