/** The benchmark's figures as text: a line for each set and number of shots, then the means that a choice is made by. */
import { halfInterval, mean } from './measures.ts';
import type { Names } from './ours.ts';

type Ours = { readonly accuracy: readonly number[]; readonly auroc: number | null; readonly ece: number };
export type Cell = {
  readonly set: string;
  readonly modality: 'image' | 'text' | 'vector';
  readonly shots: number;
  readonly ours: Readonly<Partial<Record<Names, Ours>>>;
  readonly peers: Record<string, number[]>;
  /** Logistic regression's largest probability. */
  peerAuroc: number | null;
};

export const figure = (values: readonly number[]): string => `${mean(values).toFixed(1)}±${halfInterval(values).toFixed(1)}`;
const plain = (value: number | null): string => (value === null ? '–' : value.toFixed(3));

export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map((row) => row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  ')).join('\n');
}

/** Means over 2 to 32 shots of the sets of one kind: every peer, and Graft. */
const KIND = { image: 'Pictures', text: 'Texts', vector: 'Tables' } as const;

function overall(cells: readonly Cell[], modality: Cell['modality']): string {
  const some = cells.filter((c) => c.modality === modality && c.shots >= 2);
  if (some.length === 0) return '';
  const names = [...new Set(some.flatMap((c) => Object.keys(c.peers)))];
  const means = names.map((name) => ({ name, value: mean(some.map((c) => mean(c.peers[name] ?? [Number.NaN]))) }));
  const lines = means.map(({ name, value }) => [name, value.toFixed(2)]);
  const best = means.filter((m) => Number.isFinite(m.value)).toSorted((a, b) => b.value - a.value)[0]!;
  for (const variant of ['none', 'true', 'shuffled'] as const) {
    if (!some.every((c) => c.ours[variant])) continue;
    const value = mean(some.map((c) => mean(c.ours[variant]!.accuracy)));
    const worst = some.map((c) => ({ c, gap: mean(c.ours[variant]!.accuracy) - mean(c.peers[best.name]!) })).toSorted((a, b) => a.gap - b.gap)[0]!;
    const against = `${(value - best.value).toFixed(2)} against ${best.name}; worst cell ${worst.gap.toFixed(2)} (${worst.c.set}, ${worst.c.shots} shots)`;
    lines.push([`Graft${variant === 'none' ? '' : ` with ${variant} label names`}`, `${value.toFixed(2)}  ${against}`]);
  }
  return `${KIND[modality]}, mean over 2 to 32 shots\n${lines.map(([name, value]) => `  ${name!.padEnd(36)}${value}`).join('\n')}\n`;
}

export function printAll(cells: readonly Cell[], episodes: number): string {
  const peers = [...new Set(cells.flatMap((c) => Object.keys(c.peers)))];
  const head = [
    'set, shots',
    'Graft',
    '+ names',
    'shuffled',
    ...peers.map((p) => p.replace('LogisticRegression', 'LR').replace('Classifier', '')),
    'AUROC',
    'LR’s',
    'ECE',
  ];
  const rows = cells.map((c) => {
    const say = (names: Names): string => (c.ours[names] ? figure(c.ours[names].accuracy) : '–');
    const served = c.ours.true ?? c.ours.none!;
    return [
      `${c.set} ${c.shots}`,
      say('none'),
      say('true'),
      say('shuffled'),
      ...peers.map((p) => (c.peers[p] ? figure(c.peers[p]) : '–')),
      plain(served.auroc),
      plain(c.peerAuroc),
      plain(served.ece),
    ];
  });
  const at8 = cells.filter((c) => c.shots === 8 && ((c.ours.true ?? c.ours.none)?.auroc ?? null) !== null);
  const unknown =
    at8.length > 0 ? `AUROC for unknowns at 8 shots, mean: ${mean(at8.map((c) => (c.ours.true ?? c.ours.none)!.auroc!)).toFixed(3)}\n` : '';
  return `\n${episodes} seeded episodes a cell, accuracy in % with 95 % interval\n\n${table([head, ...rows])}\n\n${overall(cells, 'image')}${overall(cells, 'text')}${overall(cells, 'vector')}${unknown}`;
}
