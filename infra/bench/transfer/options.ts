/** What the transfer benchmark is asked for: pairs of domains, sizes, seeds and methods. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { MethodOptions } from '../../../shared/method-options.ts';
import { STYLES } from '../accuracy/sets.ts';

/** `target` null: the same domain again, nothing to adapt to. */
export type Pair = { readonly name: string; readonly source: string; readonly target: string | null };
export type Asked = {
  readonly pairs: readonly Pair[];
  /** Labelled source rows a class. */
  readonly sizes: readonly number[];
  readonly seeds: readonly number[];
  readonly methods: readonly MethodName[];
  /** Of tuned tails; null: the engine's own number. */
  readonly epochs: number | null;
  readonly workers: number;
  readonly out: string | null;
  /** Episodes that `out` has already are not run again. */
  readonly resume: boolean;
  /** No episode begins that would end later than this, going by the longest before it; null: all of them run. */
  readonly minutes: number | null;
  /** Closed-form heads alone, nothing trained. */
  readonly heads: boolean;
};

/** As a caller would write them into a job; everything left out is the engine's default. */
export const METHODS = {
  linear_probe: { type: 'linear_probe' },
  fine_tune: { type: 'fine_tune', depth: 'last_blocks' },
  lp_ft: { type: 'fine_tune', depth: 'last_blocks' },
  contrastive: { type: 'contrastive' },
  from_scratch: { type: 'from_scratch' },
  coral: { type: 'domain_adaptation', alignment: 'coral' },
  mmd: { type: 'domain_adaptation', alignment: 'mmd' },
  adabn: { type: 'domain_adaptation', alignment: 'adabn' },
  dann: { type: 'domain_confusion' },
} as const satisfies Record<string, MethodOptions>;
export type MethodName = keyof typeof METHODS;
export const METHOD_NAMES = Object.keys(METHODS) as MethodName[];
export const ADAPTING: readonly MethodName[] = ['coral', 'mmd', 'adabn', 'dann'];
/** The engine's own epochs of a tuned tail, of which LP-FT gives a quarter to the head alone. */
const EPOCHS = { image: 20, text: 6 } as const;
const PROBE_SHARE = 1 / 4;

const EMOJI = STYLES.flatMap((source) => STYLES.filter((target) => target !== source).map((target) => `${source}>${target}`));
const EVERYTHING = [...EMOJI, 'mails', 'mails-easy>mails-hard', 'digits', 'digits>digits-dark'];
const QUICK = { pairs: ['apple>google', 'facebook>twitter', 'mails', 'digits>digits-dark'], sizes: [8], seeds: [1, 2, 3], epochs: 4, minutes: 9 };
/** A whole network from random weights takes longer than all others together, and is no news. */
const QUICK_METHODS = METHOD_NAMES.filter((name) => name !== 'from_scratch');

const Count = z.coerce.number().int().positive();

/** Null where the method cannot be used: nothing to adapt to, or statistics that a network does not keep. */
export function methodOf(name: MethodName, modality: 'image' | 'text', pair: Pair, epochs: number | null): MethodOptions | null {
  if (ADAPTING.includes(name) && pair.target === null) return null;
  if (name === 'adabn' && modality === 'text') return null;
  if (name === 'linear_probe' || name === 'from_scratch') return METHODS[name];
  const method = epochs === null ? METHODS[name] : { ...METHODS[name], epochs };
  const every = epochs ?? EPOCHS[modality];
  return name === 'lp_ft' ? { ...method, probe_epochs: Math.min(every - 1, Math.ceil(every * PROBE_SHARE)) } : method;
}

export function pairOf(name: string): Pair {
  const [source = '', target] = name.split('>');
  return { name, source, target: target ?? null };
}

/** @throws Error naming the option at fault */
export function parseOptions(args: readonly string[]): Asked {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pairs: { type: 'string' },
      sizes: { type: 'string' },
      seeds: { type: 'string' },
      methods: { type: 'string' },
      epochs: { type: 'string' },
      workers: { type: 'string' },
      minutes: { type: 'string' },
      out: { type: 'string' },
      quick: { type: 'boolean' },
      resume: { type: 'boolean' },
      heads: { type: 'boolean' },
    },
  });
  const quick = values.quick === true;
  const numbers = (given: string | undefined, otherwise: readonly number[]): readonly number[] =>
    given === undefined ? otherwise : given.split(',').map((text) => Count.parse(text));
  const methods = values.methods?.split(',') ?? (quick ? QUICK_METHODS : METHOD_NAMES);
  const unknown = methods.find((name) => !(name in METHODS));
  if (unknown !== undefined) throw new Error(`--methods: there is no method ${unknown}; there are ${METHOD_NAMES.join(', ')}`);
  // A count is that many seeds; a list names them.
  const seeds = values.seeds?.includes(',') === false ? Array.from({ length: Count.parse(values.seeds) }, (_, i) => i + 1) : null;
  return {
    pairs: (values.pairs?.split(',') ?? (quick ? QUICK.pairs : EVERYTHING)).flatMap((name) => (name === 'emoji' ? EMOJI : [name])).map(pairOf),
    sizes: numbers(values.sizes, quick ? QUICK.sizes : [8, 24]),
    seeds: seeds ?? numbers(values.seeds, quick ? QUICK.seeds : [1, 2, 3]),
    methods: methods as MethodName[],
    epochs: values.epochs === undefined ? (quick ? QUICK.epochs : null) : Count.parse(values.epochs),
    workers: values.workers === undefined ? Math.min(2, availableParallelism()) : Count.parse(values.workers),
    minutes: values.minutes === undefined ? (quick ? QUICK.minutes : null) : Count.parse(values.minutes),
    out: values.out ?? null,
    resume: values.resume === true,
    heads: values.heads === true,
  };
}
