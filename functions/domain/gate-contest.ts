/** The held-out answers as the gate judges them, whatever a row may be labelled with: who answered, who is right, and what that is called. Pure. */
import type { HeldOut, SeveralHeldOut } from '../../shared/engine.ts';
import type { Contender, Metrics } from '../../shared/wire/evaluation.ts';
import type { Judged } from './gate-evidence.ts';
import { metricsOf, metricsOfSeveral } from './gate-metrics.ts';
import { ONE, SEVERAL, type Words } from './gate-words.ts';
import { compareSeveral } from './paired-labels.ts';
import { compareMacroF1 } from './macro-f1.ts';
import { comparePaired, type PairedComparison } from './paired-bootstrap.ts';

export type Who = Contender | 'candidate';
export type Contest = {
  readonly rows: number;
  readonly words: Words;
  readonly has: (who: Who) => boolean;
  /** The candidate beside one that has answered. */
  readonly against: (who: Who, seed: number) => PairedComparison;
  readonly measure: (who: Who, seed: number) => Metrics;
  readonly judged: (who: Who) => Judged;
  /** As far as somebody who knows these labels can be right; null when that is all of it. */
  readonly within: (known: ReadonlySet<string>) => Contest | null;
};

export const contestOf = (heldOut: HeldOut | SeveralHeldOut): Contest => ('task' in heldOut ? ofSeveral(heldOut) : ofOne(heldOut));

function answered<Answers>(heldOut: Record<Who, Answers | null>, who: Who): Answers {
  const answers = heldOut[who];
  if (answers === null) throw new RangeError(`nobody answered as ${who}`);
  return answers;
}

function ofOne(heldOut: HeldOut): Contest {
  const { truth } = heldOut;
  const right = (who: Who) => {
    const { prediction } = answered(heldOut, who);
    return truth.map((label, i) => prediction[i] === label);
  };
  return {
    rows: truth.length,
    words: ONE,
    has: (who) => heldOut[who] !== null,
    against: (who, seed) => ({
      ...comparePaired(truth, right('candidate'), right(who), seed),
      macroF1: compareMacroF1(truth, heldOut.candidate.prediction, answered(heldOut, who).prediction, seed),
    }),
    measure: (who, seed) => metricsOf(truth, right(who), answered(heldOut, who), seed),
    judged: (who) => ({ correct: right(who), confidence: answered(heldOut, who).confidence }),
    within: (known) => {
      const rows = truth.flatMap((label, i) => (known.has(heldOut.labels[label] ?? '') ? [i] : []));
      if (rows.length === truth.length) return null;
      const pick = <T>(all: readonly T[]): T[] => rows.map((i) => all[i]!);
      const some = ({ prediction, confidence }: HeldOut['candidate']) => ({ prediction: pick(prediction), confidence: pick(confidence) });
      return ofOne({ ...heldOut, truth: pick(truth), ...eachAnswer(heldOut, some) });
    },
  };
}

function ofSeveral(heldOut: SeveralHeldOut): Contest {
  const { truth } = heldOut;
  const labels = heldOut.labels.length;
  return {
    rows: truth.length,
    words: SEVERAL,
    has: (who) => heldOut[who] !== null,
    against: (who, seed) => compareSeveral({ truth, labels }, answered(heldOut, 'candidate').prediction, answered(heldOut, who).prediction, seed),
    measure: (who, seed) => metricsOfSeveral({ truth, labels }, answered(heldOut, who), seed),
    judged: (who) => judgedSaid(truth, answered(heldOut, who)),
    within: (known) => {
      const knows = (label: number): boolean => known.has(heldOut.labels[label] ?? '');
      if (truth.every((own) => own.every(knows))) return null;
      const some = ({ prediction, probability }: SeveralHeldOut['candidate']) => ({
        prediction: prediction.map((said) => said.filter(knows)),
        probability: prediction.map((said, i) => probability[i]!.filter((_, at) => knows(said[at]!))),
      });
      return ofSeveral({ ...heldOut, truth: truth.map((own) => own.filter(knows)), ...eachAnswer(heldOut, some) });
    },
  };
}

const CONTENDERS = ['candidate', 'incumbent', 'frozen', 'baseline', 'zero_shot', 'scratch', 'source_only'] as const;

/** The answers of everybody, changed alike; those that are not there stay away. */
function eachAnswer<Answers>(
  heldOut: Record<'candidate' | 'frozen' | 'baseline', Answers> & Record<'incumbent' | 'zero_shot' | 'scratch' | 'source_only', Answers | null>,
  change: (answers: Answers) => Answers,
): Pick<typeof heldOut, (typeof CONTENDERS)[number]> {
  const { candidate, frozen, baseline, incumbent, zero_shot, scratch, source_only } = heldOut;
  const perhaps = (answers: Answers | null): Answers | null => answers && change(answers);
  return {
    candidate: change(candidate),
    frozen: change(frozen),
    baseline: change(baseline),
    incumbent: perhaps(incumbent),
    zero_shot: perhaps(zero_shot),
    scratch: perhaps(scratch),
    source_only: perhaps(source_only),
  };
}

/** Every label that is said, with whether the row has it. */
function judgedSaid(truth: readonly (readonly number[])[], { prediction, probability }: SeveralHeldOut['candidate']): Judged {
  let at = 0;
  return {
    correct: prediction.flatMap((said, i) => said.map((label) => truth[i]!.includes(label))),
    confidence: probability.flat(),
    ofRow: prediction.map((said) => said.map(() => at++)),
  };
}
