/** The shipped edge code on one episode: solveHead and scoreHead, as the Durable Object and the Worker call them. */
import type { Head } from '../../../shared/head.ts';
import { knownness, scoreHead } from '../../../functions/learning/score-head.ts';
import { fitStandardisation, standardised } from '../../../functions/learning/own-scale.ts';
import { solveHead, type SolveInput } from '../../../functions/learning/solve-head.ts';
import type { MeasuredSet } from './embeddings.ts';
import type { Episode } from './episodes.ts';
import { auroc, type Said } from './measures.ts';

export type Names = 'none' | 'true' | 'shuffled';
export type Outcome = { readonly accuracy: number; readonly auroc: number | null; readonly said: readonly Said[] };

/** The head of an episode's support. */
export function solveEpisode(set: MeasuredSet, background: readonly Float32Array[], episode: Episode, names: Names): Head {
  const labels = episode.classes.map((c) => set.labels[c]!);
  const k = labels.length;
  const named = episode.classes.map((_, i) => {
    if (names === 'none' || !set.nameRows) return null;
    return set.nameRows[episode.classes[names === 'true' ? i : (i + 1) % k]!]!;
  });
  const input: SolveInput = {
    labels,
    task: 'single_label',
    transform: set.modality === 'image' ? 'sqrt_l2' : 'l2',
    dimension: set.rows[0]!.length,
    examples: episode.support.map((row, i) => ({ id: String(row), labelsOf: [episode.supportY[i]!], base: set.rows[row]!, tuned: null })),
    names: named,
    zeroShot: set.modality === 'image',
    background: { base: background, tuned: [] },
    tunedMix: 0,
    trainedTemperature: null,
    falseRejectRate: 0.05,
  };
  const by = set.modality === 'vector' ? fitStandardisation(input) : null;
  const solved = solveHead(standardised(input, by));
  if (!solved) throw new Error('an episode without examples and names has no head');
  return { ...solved.head, standardisation: by };
}

export function runOurs(set: MeasuredSet, background: readonly Float32Array[], episode: Episode, names: Names): Outcome {
  const head = solveEpisode(set, background, episode, names);
  const said = episode.query.map((row, i) => {
    const { scores } = scoreHead(head, { base: set.rows[row]!, tuned: null });
    return { confidence: scores[0]!.score, right: scores[0]!.label === head.labels[episode.queryY[i]!] };
  });
  const evidence = (row: number): number => knownness(head, head.openSet!, { base: set.rows[row]!, tuned: null });
  return {
    accuracy: (100 * said.filter((s) => s.right).length) / said.length,
    auroc: episode.probes.length > 0 ? auroc(episode.query.map(evidence), episode.probes.map(evidence)) : null,
    said,
  };
}
