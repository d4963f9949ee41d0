/** Answers what a classifier takes its inputs for. Touches the Durable Object only when the held head is old, and D1 not at all. */
import { GraftError } from '../../../shared/errors.ts';
import type { Head } from '../../../shared/head.ts';
import type { Prediction } from '../../../shared/wire/predictions.ts';
import type { Deps } from '../../deps.ts';
import type { Input } from '../../domain/read-input.ts';
import type { HeldHead } from '../../inference/heads.ts';
import { scoreHead } from '../../learning/score-head.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { eachInput } from './each-input.ts';
import { embedInput, type Embedded } from './embed-input.ts';

export type Timings = { decode: number; embed: number; queue: number; score: number };
/** A prediction with what it was made from, for what happens after the answer. */
export type Answered = {
  readonly classifier: StoredClassifier;
  readonly held: HeldHead;
  readonly input: Input;
  readonly embedded: Pick<Embedded, 'base' | 'tuned'>;
  readonly prediction: Prediction;
};
/** One that there is something to answer with. */
export type FilledHead = HeldHead & { readonly head: Head };
export type PredictOptions = {
  readonly topK: number | undefined;
  readonly minVersion: number;
  /** JSON pointer of an input. */
  readonly at: (index: number) => string;
};

/** With the active version. `read` makes each input; its faults and the decoder's are told together, at their pointers. */
export async function predict<T>(
  deps: Pick<Deps, 'encoder' | 'heads'>,
  classifier: StoredClassifier,
  inputs: readonly T[],
  read: (input: T) => Input,
  options: PredictOptions,
): Promise<{ answered: Answered[]; timings: Timings }> {
  const held = await servedHead(deps, classifier.id, options.minVersion);
  return await predictWith(deps, classifier, held, inputs, read, options);
}

/** The same with a head that the caller has. */
export async function predictWith<T>(
  deps: Pick<Deps, 'encoder'>,
  classifier: StoredClassifier,
  held: HeldHead,
  inputs: readonly T[],
  read: (input: T) => Input,
  options: Pick<PredictOptions, 'topK' | 'at'>,
): Promise<{ answered: Answered[]; timings: Timings }> {
  const timings: Timings = { decode: 0, embed: 0, queue: 0, score: 0 };
  const answered = await eachInput(inputs, options.at, async (item) => {
    const input = read(item);
    const embedded = await embedInput(deps, input, classifier, held.model);
    const started = performance.now();
    const prediction = toPrediction(classifier, held, embedded, options.topK);
    for (const part of ['decode', 'embed', 'queue'] as const) timings[part] += embedded.timings[part];
    timings.score += performance.now() - started;
    return { classifier, held, input, embedded, prediction };
  });
  return { answered, timings };
}

/** @param param where `minVersion` was said. Throws `nothing_to_predict` while there is no head, and `unknown_version` for a `minVersion` that the classifier never reached. */
export async function servedHead(deps: Pick<Deps, 'heads'>, classifier: string, minVersion: number, param = 'min_version'): Promise<FilledHead> {
  const held = await deps.heads.get(classifier, minVersion);
  if (minVersion > held.newest) {
    const detail = `The classifier "${classifier}" has not had a version ${minVersion}: its newest is ${held.newest}.`;
    throw new GraftError('unknown_version', detail, { param });
  }
  if (!held.head)
    throw new GraftError(
      'nothing_to_predict',
      `The classifier "${classifier}" has nothing to answer with yet. Enroll an example of each label first.`,
    );
  return { ...held, head: held.head };
}

export function toPrediction(
  classifier: StoredClassifier,
  held: HeldHead,
  embedded: Pick<Embedded, 'base' | 'tuned'>,
  topK: number | undefined,
): Prediction {
  if (!held.head) throw new Error('toPrediction needs a head');
  const answer = scoreHead(held.head, embedded, topK);
  return {
    object: 'prediction',
    classifier: classifier.id,
    version: held.version,
    label: answer.unknown ? null : answer.label,
    ...(classifier.task === 'multi_label' ? { labels: answer.labels } : {}),
    unknown: answer.unknown,
    confidence: answer.confidence,
    scores: answer.scores,
    nearest: answer.nearest,
  };
}
