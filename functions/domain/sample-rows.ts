/** Which rows of a frozen dataset stand for their domain: a seeded sample without test rows and without labels that are not asked about. */
import { UNLABELLED } from '../../shared/dataset.ts';
import { seededRandom } from '../../shared/statistics.ts';

export type RowSample = {
  /** Row → label, null where it has none; in the order in which they were drawn. */
  readonly rows: readonly { readonly row: number; readonly label: string | null }[];
  /** How many there were to draw from. */
  readonly eligible: number;
  /** Left out because of a label that is not known. */
  readonly otherLabels: number;
  readonly seed: number;
};

const TEST = 2;

/**
 * @param labelOf index into `names`, −1 unlabelled; `split` 2 is the test part, which stays unseen
 * @param digest of the dataset (hex): the same rows every time
 */
export function sampleRows(
  { labelOf, split, names }: { labelOf: Int32Array; split: Uint8Array; names: readonly string[] },
  known: ReadonlySet<string>,
  max: number,
  digest: string,
): RowSample {
  const rows: { row: number; label: string | null }[] = [];
  let otherLabels = 0;
  for (let row = 0; row < labelOf.length; row++) {
    if (split[row] === TEST) continue;
    const label = labelOf[row] === UNLABELLED ? null : (names[labelOf[row]!] ?? null);
    if (label !== null && !known.has(label)) otherLabels++;
    else rows.push({ row, label });
  }
  const seed = Number.parseInt(digest.slice(0, 8), 16) >>> 0;
  const random = seededRandom(seed);
  const eligible = rows.length;
  // Fisher–Yates, as far as rows are wanted.
  for (let i = 0; i < Math.min(max, eligible); i++) {
    const j = i + Math.floor(random() * (eligible - i));
    [rows[i], rows[j]] = [rows[j]!, rows[i]!];
  }
  return { rows: rows.slice(0, max), eligible, otherLabels, seed };
}
