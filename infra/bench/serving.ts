/** What a prediction costs through the Worker, beside the bare network on the same input in the same runtime. */
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { startBare } from './bare.ts';
import type { Client, Input } from './client.ts';
import { LABELS, LONG_TEXT, SHORT_TEXT, packPictures, phonePicture, pictureTensor, textTensor, type ReadyTensor } from './inputs.ts';
import { inTurn, type Spread } from './measure.ts';

export type Serving = {
  readonly input: string;
  /** POST …/predict with this input: authentication, decoding or tokens, network, head, answer. */
  readonly edge: Spread;
  /** The same graphs on a ready tensor, also over HTTP. */
  readonly bare: Spread;
  /** A request that does nothing. */
  readonly empty: Spread;
  readonly ratio_p50: number;
  readonly ratio_p95: number;
  /** Against the bare run less what HTTP costs: nothing that Graft adds is hidden in the divisor. */
  readonly ratio_p50_without_http: number;
};
/** Null when the picture cannot be made on this machine. */
export type NotMeasured = { readonly input: string; readonly not_measured: string };

type Case = { name: string; backbone: string; classifier: string; inputs: readonly Input[]; tensor: ReadyTensor; repeats: number };

/** Five classes with three examples each, as in the demo. */
export async function makeClassifiers(client: Client): Promise<{ image: string; text: string }> {
  const image = await client.createClassifier('image');
  await client.enroll(
    image,
    LABELS.flatMap((label) =>
      packPictures(label)
        .slice(0, 3)
        .map((picture) => ({ label, image: picture })),
    ),
  );
  const text = await client.createClassifier('text');
  await client.enroll(text, [
    { label: 'card', text: 'My card does not work at the till.' },
    { label: 'card', text: 'When will my new card arrive?' },
    { label: 'parcel', text: 'The parcel came with a broken lamp.' },
    { label: 'parcel', text: 'Where is the box that I ordered?' },
  ]);
  return { image, text };
}

async function cases(classifiers: { image: string; text: string }, repeats: number): Promise<(Case | NotMeasured)[]> {
  const png = (body: Uint8Array): Input => ({ type: 'image/png', body });
  const small = LABELS.flatMap((label) => packPictures(label).slice(3, 8));
  const large = phonePicture();
  const image = { backbone: SHIPPED_BACKBONES.image, classifier: classifiers.image };
  const text = { backbone: SHIPPED_BACKBONES.text, classifier: classifiers.text };
  const ofText = (words: string): Case => {
    const tensor = textTensor(words);
    return { ...text, name: `text, ${tensor.dims[1]} tokens`, inputs: [{ type: 'text/plain', body: words }], tensor, repeats };
  };
  const phone = 'picture, 12 MP JPEG';
  return [
    { ...image, name: 'picture, 64 px PNG', inputs: small.map(png), tensor: pictureTensor(small[0]!), repeats },
    large
      ? {
          ...image,
          name: `${phone} (${(large.length / 1e6).toFixed(1)} MB)`,
          inputs: [{ type: 'image/jpeg', body: large }],
          tensor: pictureTensor(large),
          repeats: Math.ceil(repeats / 2),
        }
      : { input: phone, not_measured: 'the Python environment could not make the picture' },
    ofText(SHORT_TEXT),
    ofText(LONG_TEXT),
  ];
}

export async function measureServing(
  client: Client,
  classifiers: { image: string; text: string },
  options: { readonly folder: string; readonly repeats: number; readonly warmups: number; readonly onProgress: (text: string) => void },
): Promise<(Serving | NotMeasured)[]> {
  const bare = await startBare(options.folder);
  const results: (Serving | NotMeasured)[] = [];
  try {
    for (const [i, one] of (await cases(classifiers, options.repeats)).entries()) {
      if ('not_measured' in one) {
        results.push(one);
        continue;
      }
      options.onProgress(`Measuring ${one.name}`);
      await bare.hold(`t${i}`, one.tensor);
      const {
        edge,
        bare: alone,
        empty,
      } = await inTurn(
        {
          edge: (n) => client.predict(one.classifier, one.inputs[n % one.inputs.length]!),
          bare: () => bare.run(one.backbone, `t${i}`),
          empty: () => bare.empty(),
        },
        { repeats: one.repeats, warmups: options.warmups },
      );
      results.push({
        input: one.name,
        edge,
        bare: alone,
        empty,
        ratio_p50: edge.p50 / alone.p50,
        ratio_p95: edge.p95 / alone.p95,
        ratio_p50_without_http: edge.p50 / (alone.p50 - empty.p50),
      });
    }
  } finally {
    await bare.stop();
  }
  return results;
}
