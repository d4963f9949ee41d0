/**
 * What the candidate is held against beside what is served: the frozen head, the label names alone, the same network from random weights, and the
 * same method without its adaptation. They say whether transfer paid; only harm blocks.
 */
import type { Contender, Reason } from '../../shared/wire/evaluation.ts';
import { isBetter, isWorse } from './gate-evidence.ts';
import { factsOf, sentence, type Words } from './gate-words.ts';
import type { PairedRows } from './paired-bootstrap.ts';

/** `served`: a head is served, and it decides; without one these references do. `fromScratch`: the candidate is the network from random weights. */
export function weighReferences(
  look: (who: Contender) => PairedRows | null,
  { served, fromScratch }: { readonly served: boolean; readonly fromScratch: boolean },
  words: Words,
): Reason[] {
  const reasons: Reason[] = [];
  const say = (code: Reason['code'], blocks: boolean, claim: string, of: PairedRows) =>
    reasons.push({ code, blocks, detail: `${claim}: ${sentence(of, words)}.`, evidence: factsOf(of) });

  const frozen = look('frozen');
  if (frozen) {
    // With an incumbent that was beaten, being below the frozen head is a pity, not a harm to what is served.
    if (isWorse(frozen)) say('worse_than_frozen', !served, 'The candidate is worse than a head on the frozen backbone', frozen);
    else if (isBetter(frozen)) say('better_than_frozen', false, 'Tuning helped beyond a head on the frozen backbone', frozen);
    else say('not_better_than_frozen', false, notBetter(frozen), frozen);
  }
  const sourceOnly = look('source_only');
  if (sourceOnly) {
    if (isWorse(sourceOnly))
      say('worse_than_source_only', true, 'Negative transfer: with adaptation to the target the candidate is worse than without', sourceOnly);
    else if (isBetter(sourceOnly)) say('better_than_source_only', false, 'Adapting to the target helped', sourceOnly);
    else say('not_better_than_source_only', false, 'Adapting to the target is not proven to help', sourceOnly);
  }
  const scratch = look('scratch');
  if (fromScratch) {
    // Beside itself it would always do as well; what transfer gives is the frozen head, and that one being better was said above.
    const claim = 'Transfer is not proven to pay: from random weights the network does as well as a head on the pretrained one';
    if (frozen && !isWorse(frozen)) say('scratch_is_as_good', false, claim, frozen);
  } else if (scratch) {
    if (isBetter(scratch)) say('better_than_scratch', false, 'Transfer pays: the same network from random weights is worse', scratch);
    else say('scratch_is_as_good', false, 'Transfer is not proven to pay: the same network from random weights does as well', scratch);
  }
  const zeroShot = look('zero_shot');
  if (zeroShot && isWorse(zeroShot))
    say('worse_than_zero_shot', !served, 'The label names alone, without any example, do better than the candidate', zeroShot);
  return reasons;
}

/** A linear probe, and tuning whose weight became 0, are heads on the frozen backbone: that is no finding about tuning. */
const notBetter = ({ wins, losses }: PairedRows): string =>
  wins + losses === 0
    ? 'The candidate is right on the same rows as a head on the frozen backbone'
    : 'Tuning is not proven to help beyond a head on the frozen backbone';
