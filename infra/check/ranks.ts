/** Import ranks: a file imports only from a lower rank or from its own room; type imports count. The table is the one in docs/decisions/0001. */
import { dirname, join } from 'node:path';

type Room = { readonly name: string; readonly rank: number };

/** First match wins; the matched text is the room's name, so that two rooms of one rank do not import each other. */
const ROOMS: readonly { readonly at: RegExp; readonly rank: number }[] = [
  { at: /^functions\/worker\.ts$/, rank: 9 },
  { at: /^functions\/app\.ts$/, rank: 8 },
  { at: /^functions\/(routes|queue|durable)\//, rank: 7 },
  { at: /^functions\/http\//, rank: 6 },
  { at: /^functions\/usecases\//, rank: 5 },
  { at: /^functions\/deps\.ts$/, rank: 4 },
  { at: /^functions\/(stores|objects|inference|delivery)\//, rank: 3 },
  { at: /^functions\/(db\/|exports\/|env\.ts$)/, rank: 2 },
  { at: /^functions\/(domain|learning)\//, rank: 1 },
  { at: /^shared\//, rank: 0 },
];
/** Rooms outside the Worker and what each may import. */
const OUTSIDE: readonly { readonly at: RegExp; readonly may: RegExp }[] = [
  { at: /^gpu-trainer\/host\//, may: /^(gpu-trainer\/host|shared)\// },
  { at: /^clients\//, may: /^(clients|shared)\// },
  { at: /^infra\//, may: /^(infra|shared|functions\/learning|functions\/domain|functions\/inference|test\/pack)\// },
];

function roomOf(file: string): Room | null {
  for (const { at, rank } of ROOMS) {
    const found = at.exec(file);
    if (found) return { name: found[0], rank };
  }
  return null;
}

/** Relative imports of a source text, as paths from the root. */
export function importsOf(file: string, source: string): string[] {
  const found = source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g);
  return [...found].map(([, path]) => join(dirname(file), path ?? ''));
}

/** What `file` imports against the ranks, one sentence each; empty when all is well. Paths are relative to the root, with `/`. */
export function rankFaults(file: string, source: string): string[] {
  const from = roomOf(file);
  const outside = OUTSIDE.find(({ at }) => at.test(file));
  return importsOf(file, source).flatMap((to) => {
    if (outside) return outside.may.test(to) ? [] : [`${file} imports ${to}: not allowed from there`];
    if (!from) return [];
    const target = roomOf(to);
    if (!target) return [`${file} imports ${to}: outside the Worker's rooms`];
    if (target.rank < from.rank || target.name === from.name) return [];
    return [`${file} (rank ${from.rank}) imports ${to} (rank ${target.rank})`];
  });
}
