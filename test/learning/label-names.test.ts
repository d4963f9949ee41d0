/** What labels' words are compared by: the part of an embedding that the last layer gives. */
import { expect, it } from 'vitest';
import { backgroundCenter } from '../../functions/learning/features.ts';
import { inPlainStyle, meanWording, nameComponent } from '../../functions/learning/label-names.ts';
import { linearScores } from '../../functions/learning/label-prior.ts';
import { seededRandom } from '../../shared/statistics.ts';

const OWN = 24;
const ALL = 48;
const next = seededRandom(7);
const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
/** Own values vary freely; the lower part lies in a narrow cone, as that of real texts does. */
const text = (): Float32Array => Float32Array.from({ length: ALL }, (_, i) => (i < OWN ? normal() : 1 + 0.3 * normal()));
const background = Array.from({ length: 200 }, text);
const center = backgroundCenter(background, 'l2', ALL);
const restyled = (x: Float32Array): Float32Array => {
  const other = text();
  const length = (v: Float32Array): number => Math.hypot(...v.subarray(OWN));
  return x.map((value, i) => (i < OWN ? value : (other[i]! * length(x)) / length(other)));
};

it('a label hears how a text is written only when its own style is left in', () => {
  const change = (label: Float32Array): number => {
    let sum = 0;
    for (let i = 0; i < 100; i++) {
      const x = text();
      const [a, b] = linearScores(nameComponent([label], center, 'l2', ALL, 1), [{ base: x }, { base: restyled(x) }]);
      sum += Math.abs(a! - b!);
    }
    return sum / 100;
  };
  const label = meanWording([text()]);
  expect(change(inPlainStyle(label, OWN, center))).toBeLessThan(change(label) / 4);
});

it('a label in plain style says of the own part what it said before', () => {
  const label = meanWording([text()]);
  const plain = inPlainStyle(label, OWN, center);
  expect([...plain.subarray(0, OWN)]).toEqual([...label.subarray(0, OWN)]);
  const near = Float32Array.from(label);
  const far = near.map((v, i) => (i < OWN ? -v : v));
  const [alike, opposite] = linearScores(nameComponent([plain], center, 'l2', ALL, 1), [{ base: near }, { base: far }]);
  expect(alike).toBeGreaterThan(0.2);
  expect(opposite).toBeLessThan(-0.2);
});
