/** What a candidate is compared with: the head being served and its graphs, as they would be had no row that judges them been enrolled. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { FrozenRow } from '../../shared/dataset.ts';
import type { EngineSpec } from '../../shared/engine.ts';
import type { Download, TrainWork, WorkExample } from '../../shared/runner.ts';
import type { Context } from './train-work.ts';
import { tell } from './tell.ts';
import { download } from './transfer.ts';
import { jsonLinesOf } from './validate/text-lines.ts';

type Needs = Pick<Context, 'folder'> & {
  readonly api: Pick<Context['api'], 'incumbent' | 'events'>;
  readonly lease: Pick<Context['lease'], 'token'>;
  readonly keeper: Pick<Context['keeper'], 'signal'>;
};

/** `judged`: SHA-256 of the rows that both are judged by. Null where nothing is served. */
export async function fetchIncumbent(
  c: Needs,
  work: Pick<TrainWork, 'incumbent' | 'enrolled' | 'source' | 'taught'>,
  judged: ReadonlySet<string>,
): Promise<EngineSpec['incumbent']> {
  const { incumbent } = work;
  if (!incumbent) return null;
  const without = [...idsOf([...work.enrolled, ...(work.source?.examples ?? [])], judged), ...(await taughtAmong(c, work.taught, judged))];
  const unseen = without.length === 0 ? null : (await c.api.incumbent(c.lease.token, { version: incumbent.version, without })).head;
  if (unseen) {
    const message = `${without.length} held-out rows are examples of the version being served; it is judged as if they had never been enrolled.`;
    await tell(c, [{ type: 'log', level: 'info', message }]);
  }
  const head = path.join(c.folder, 'incumbent-head.safetensors');
  await download(unseen ?? incumbent.head, head, c.keeper.signal);
  return {
    head,
    tail: incumbent.tail && (await fetchGraph(c, 'tail.onnx', incumbent.tail, incumbent.tail_data)),
    trunk: incumbent.trunk && (await fetchGraph(c, 'trunk.onnx', incumbent.trunk, incumbent.trunk_data)),
  };
}

const idsOf = (examples: readonly WorkExample[], judged: ReadonlySet<string>): string[] =>
  examples.filter(({ sha256 }) => judged.has(sha256)).map(({ id }) => id);

/** Of the rows that the classifier was trained on: the examples that those became which judge here, in whichever dataset they were then. */
async function taughtAmong(c: Needs, taught: TrainWork['taught'], judged: ReadonlySet<string>): Promise<string[]> {
  const ids: string[] = [];
  for (const { rows, examples } of taught) {
    const places = new Map(examples.map(({ id, row }) => [row, id]));
    const file = path.join(c.folder, 'taught-rows.jsonl');
    await download(rows, file, c.keeper.signal);
    for await (const value of jsonLinesOf(file)) {
      const { row, sha256 } = FrozenRow.parse(value);
      const id = judged.has(sha256) ? places.get(row) : undefined;
      if (id !== undefined) ids.push(id);
    }
    await rm(file, { force: true });
  }
  return ids;
}

/** Its external weights lie beside it under the name that the graph says. */
async function fetchGraph(c: Needs, name: 'tail.onnx' | 'trunk.onnx', graph: Download, data: Download | null): Promise<string> {
  const dir = path.join(c.folder, 'incumbent');
  await mkdir(dir, { recursive: true });
  const file = path.join(dir, name);
  await download(graph, file, c.keeper.signal);
  if (data) await download(data, path.join(dir, `${name}.data`), c.keeper.signal);
  return file;
}
