/** Verification inside the object, where the examples and the background are. What impostors reach is measured once for each label of a version. */
import { decodeHead } from '../../shared/head-file.ts';
import type { Standardisation } from '../../shared/head.ts';
import type { Failure, Outcome, Verified } from '../domain/classifier-object.ts';
import { similarityToRows, verificationThreshold } from '../learning/verification.ts';
import { unitsFor } from './learn.ts';
import type { Ledger } from './ledger.ts';
import { activeVersion, PLAIN } from './records.ts';
import { servedMembers, thin } from './served-members.ts';
import { readBlob } from './tables.ts';

/** Examples of the label that are compared with, and those of all others that serve as impostors: 1,472 dimensions × 128 rows are 0.8 MB. */
const ROWS_MAX = 128;
const OTHERS_MAX = 2_000;
const LABELS_HELD_MAX = 16;

/** `unit`: an embedding as similarities are taken of it. */
type Measured = { readonly unit: (raw: Float32Array) => Float64Array; readonly rows: readonly Float32Array[]; readonly impostors: Float64Array };

export class Verifier {
  #version = -1;
  readonly #labels = new Map<string, Measured>();

  /** @param ledger with its background loaded */
  verify(ledger: Ledger, asked: { label: string; embedding: Float32Array; falseAcceptRate: number }): Outcome<Verified> {
    const measured = this.#measured(ledger, asked.label);
    if (!measured.ok) return measured;
    const { unit, rows, impostors } = measured.value;
    const similarity = Math.min(1, similarityToRows(unit(asked.embedding), rows));
    const { threshold, promised } = verificationThreshold(impostors, asked.falseAcceptRate);
    const value = { version: this.#version, match: similarity > threshold, similarity, threshold, promised, impostors: impostors.length };
    return { ok: true, value };
  }

  #measured(ledger: Ledger, label: string): Outcome<Measured> {
    const { sql } = ledger;
    const held = this.#heldFor(sql, label);
    if (held) return { ok: true, value: held };
    const { version, labels, members } = servedMembers(sql);
    this.#version = version;
    if (!labels.has(label)) return failure('unknown_label', `This classifier has no label "${label}". It has: ${[...labels].join(', ') || 'none'}.`);
    const own = members.filter((m) => m.labels.includes(label));
    if (own.length === 0)
      return failure('nothing_to_predict', `The label "${label}" has no example to compare with yet. Enroll at least one; one is enough.`);
    const background = ledger.background(PLAIN).base;
    const unit = unitsFor(ledger.config(), { base: background }, servedStandardisation(ledger, version));
    const rows = thin(own, ROWS_MAX).map((m) => Float32Array.from(unit(m.base)));
    const others = thin(
      members.filter((m) => !m.labels.includes(label)),
      OTHERS_MAX,
    );
    const raw = [...background, ...others.map((m) => m.base)];
    const impostors = Float64Array.from(raw, (x) => similarityToRows(unit(x), rows));
    impostors.sort().reverse();
    const value = { unit, rows, impostors };
    this.#hold(label, value);
    return { ok: true, value };
  }

  /** Every change of the examples makes or chooses another version, and then nothing measured before is valid. */
  #heldFor(sql: SqlStorage, label: string): Measured | null {
    if (activeVersion(sql) !== this.#version) this.#labels.clear();
    return this.#labels.get(label) ?? null;
  }

  #hold(label: string, measured: Measured): void {
    const [oldest] = this.#labels.keys();
    if (this.#labels.size >= LABELS_HELD_MAX && oldest !== undefined) this.#labels.delete(oldest);
    this.#labels.set(label, measured);
  }
}

const failure = (code: Failure['code'], detail: string): Failure => ({ ok: false, code, detail });

/** Only heads of vectors have one; those of backbones are not read for it. */
function servedStandardisation(ledger: Ledger, version: number): Standardisation | null {
  const file = ledger.config().modality === 'vector' ? readBlob(ledger.sql, `head:${version}`) : null;
  return file ? decodeHead(file).standardisation : null;
}
