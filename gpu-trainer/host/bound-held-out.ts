/**
 * The answers on held-out rows as one completion can carry them. A dataset may hold out hundreds of thousands of rows, each with the answers of up to
 * seven contenders, and a request of the Worker has a limit: beyond it the gate judges by a sample, which is drawn here and told in the result.
 */
import type { EngineResult } from '../../shared/engine.ts';
import { seededRandom } from '../../shared/statistics.ts';

/** Half of JSON_MAX_BYTES, because the isolate that reads it holds text and values at once: some 70,000 rows of all contenders. */
export const HELD_OUT_MAX_BYTES = 12 * 1024 * 1024;

type HeldOut = EngineResult['held_out'];

/** The result itself where it fits. The same rows are drawn again for the same number of rows and seed. */
export function boundHeldOut(result: EngineResult, seed: number, maxBytes = HELD_OUT_MAX_BYTES): EngineResult {
  const { held_out: all } = result;
  const bytes = Buffer.byteLength(JSON.stringify(all));
  if (bytes <= maxBytes) return result;
  const rows = all.rows.length;
  // A little less than its share, because rows differ in length.
  const kept = Math.floor((0.95 * rows * maxBytes) / bytes);
  const note = `The gate judged by ${kept} of ${rows} held-out rows, drawn at random: all of them are more than one completion carries.`;
  return { ...result, held_out: only(all, sample(rows, kept, seed)), notes: [...result.notes, note] };
}

/** `kept` of `rows` places, each as likely as any other, in order. */
function sample(rows: number, kept: number, seed: number): number[] {
  const random = seededRandom(seed);
  const chosen: number[] = [];
  // Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S).
  for (let at = 0; at < rows && chosen.length < kept; at++) if ((rows - at) * random() < kept - chosen.length) chosen.push(at);
  return chosen;
}

/** These rows of everything that has one entry a row. */
function only<H extends HeldOut>(all: H, places: readonly number[]): H {
  const of = (value: unknown): unknown => (Array.isArray(value) ? places.map((at) => value[at] as unknown) : value);
  const answers = (value: unknown): unknown =>
    value === null || typeof value !== 'object' ? value : Object.fromEntries(Object.entries(value).map(([name, array]) => [name, of(array)]));
  const { split, labels, rows, truth, ...contenders } = all;
  const cut = Object.fromEntries(Object.entries(contenders).map(([name, value]) => [name, answers(value)]));
  return { ...cut, split, labels, rows: of(rows), truth: of(truth) } as H;
}
