/** From sending one example to the first prediction that knows it. */
import type { Client, Example, Input } from './client.ts';
import { LABELS, packPictures } from './inputs.ts';
import { spread, type Spread } from './measure.ts';

export type Enrolling = {
  readonly input: string;
  /** POST …/examples with one example, until its answer. */
  readonly enroll: Spread;
  /** … and then POST …/predict?min_version=… until the answer of that version or a later one. */
  readonly visible: Spread;
  /** How many examples the classifier had before the first and after the last. */
  readonly examples_from: number;
  readonly examples_to: number;
};

async function measure(
  client: Client,
  classifier: string,
  name: string,
  held: number,
  items: { example: Example; probe: Input }[],
): Promise<Enrolling> {
  const enroll: number[] = [];
  const visible: number[] = [];
  for (const { example, probe } of items) {
    const started = performance.now();
    const version = await client.enroll(classifier, [example]);
    enroll.push(performance.now() - started);
    const prediction = await client.predict(classifier, probe, version);
    visible.push(performance.now() - started);
    if (prediction.version < version) throw new Error(`version ${prediction.version} answered, though min_version was ${version}`);
  }
  return { input: name, enroll: spread(enroll), visible: spread(visible), examples_from: held, examples_to: held + items.length };
}

/** New classifiers grow one example at a time from one of each class. */
export async function measureEnrolling(client: Client, repeats: number): Promise<Enrolling[]> {
  const pictures = LABELS.map((label) => packPictures(label));
  const image = await client.createClassifier('image');
  await client.enroll(
    image,
    LABELS.map((label, i) => ({ label, image: pictures[i]![0]! })),
  );
  const imageItems = Array.from({ length: repeats }, (_, n) => {
    const of = n % LABELS.length;
    const at = (k: number): Buffer => pictures[of]![k % pictures[of]!.length]!;
    const turn = 1 + Math.floor(n / LABELS.length);
    return { example: { label: LABELS[of]!, image: at(turn) }, probe: { type: 'image/png' as const, body: at(turn + 1) } };
  });
  const text = await client.createClassifier('text');
  await client.enroll(text, [
    { label: 'card', text: 'My card does not work at the till.' },
    { label: 'parcel', text: 'The parcel came with a broken lamp.' },
  ]);
  const words = (n: number): string => (n % 2 === 0 ? `The cash machine kept my card, case ${n}.` : `Parcel ${n} was left with a neighbour.`);
  const textItems = Array.from({ length: repeats }, (_, n) => ({
    example: { label: n % 2 === 0 ? 'card' : 'parcel', text: words(n) },
    probe: { type: 'text/plain' as const, body: words(n + 2) },
  }));
  return [
    await measure(client, image, 'picture, 64 px PNG', LABELS.length, imageItems),
    await measure(client, text, 'text, one sentence', 2, textItems),
  ];
}
