/** One-shot verification: embeds the input and asks the classifier's object, which has the examples and the impostors. Sees every write before it. */
import type { Verification, VerifyRequest } from '../../../shared/wire/verification.ts';
import type { Deps } from '../../deps.ts';
import type { Verified } from '../../domain/classifier-object.ts';
import { readInput } from '../../domain/read-input.ts';
import type { StoredClassifier } from '../../stores/classifiers.ts';
import { unwrap } from '../classifiers/unwrap.ts';
import { embedInput } from './embed-input.ts';
import type { Timings } from './predict.ts';

/** Throws `unknown_label`, or `nothing_to_predict` while the label has no example. */
export async function verify(
  deps: Pick<Deps, 'encoder' | 'classifier'>,
  classifier: StoredClassifier,
  request: VerifyRequest,
): Promise<{ verification: Verification; timings: Timings }> {
  const { label, false_accept_rate: rate } = request;
  // Examples are compared on the base embedding, as for `nearest`: a tuned tail was taught to tell labels apart, not to place strangers.
  const { base, timings } = await embedInput(deps, readInput(request, classifier), classifier, null);
  const started = performance.now();
  const verified = unwrap(await deps.classifier(classifier.id).verify({ label, embedding: base, falseAcceptRate: rate }), { unknown_label: 'label' });
  const { version, match, similarity, threshold, promised, impostors } = verified;
  const verification = {
    object: 'verification' as const,
    classifier: classifier.id,
    version,
    label,
    match,
    similarity,
    threshold,
    false_accept_rate: rate,
    promised,
    impostors,
    detail: explain(verified, rate),
  };
  return { verification, timings: { ...timings, score: performance.now() - started } };
}

function explain({ promised, impostors }: Verified, rate: number): string {
  const asked = `${Number((rate * 100).toPrecision(6))} %`;
  const whom = `${impostors} ${impostors === 1 ? 'impostor' : 'impostors'} (background and examples of other labels)`;
  if (promised) return `Counted: at most ${asked} of inputs that are like the ${whom} pass this threshold.`;
  const need = Math.ceil(1 / rate) - 1;
  if (impostors === 0)
    return `Not promised: there is no impostor to compare with. The threshold asks for near identity; enroll examples of other labels (${need} make a rate of ${asked} countable).`;
  const lowest = `${Number((100 / (impostors + 1)).toPrecision(3))} %`;
  return `Not promised: with ${whom} no rate below ${lowest} can be counted. The threshold for ${asked} is extrapolated from the tail of their similarities; with ${need} it would be counted.`;
}
