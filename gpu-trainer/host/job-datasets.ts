/** The datasets of a training job on disk: which rows are held out, and which must not be learnt from. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { FrozenRow } from '../../shared/dataset.ts';
import type { EngineSpec } from '../../shared/engine.ts';
import { GraftError } from '../../shared/errors.ts';
import { DatasetIssue } from '../../shared/quality.ts';
import type { TrainWork } from '../../shared/runner.ts';
import { download } from './transfer.ts';
import { jsonLinesOf } from './validate/text-lines.ts';

export type JobDatasets = Pick<EngineSpec, 'dataset' | 'validation' | 'target'> & {
  /** Rows of `dataset` that nothing may learn from, in order, and why. */
  readonly excludeRows: number[];
  /** Labelled rows of `target` whose labels nothing may learn from, and the withdrawn ones. */
  readonly excludeTargetRows: number[];
  /** Rows that nothing may use, because their example was deleted since; those of `dataset` are among `excludeRows`. */
  readonly withdrawn: { readonly validation: number[]; readonly target: number[] };
  /** Of `notes`, what the job's result says, too. */
  readonly told: string[];
  readonly notes: string[];
  /** SHA-256 of everything that is held out somewhere; no example of a source is learnt from that is among them. */
  readonly held: ReadonlySet<string>;
  /** SHA-256 of the rows among them that the engine judges by. */
  readonly judged: ReadonlySet<string>;
};
/** As much of a finding as tells what to leave out. */
const Finding = DatasetIssue.pick({ code: true, row: true });

type Work = Pick<TrainWork, 'dataset' | 'validation' | 'target' | 'exclude'> & Partial<Pick<TrainWork, 'source' | 'enrolled' | 'method'>>;
/** `rows`: without those that were `withdrawn`, whose example was deleted since. */
type Fetched = {
  readonly spec: EngineSpec['dataset'];
  readonly rows: FrozenRow[];
  readonly withdrawn: readonly number[];
  readonly count: number;
  readonly folder: string;
};

/** Downloads them and compares their rows: what is held out in one must not be trained on in another, or the proof would be worth nothing. */
export async function fetchDatasets(work: Work, folder: string, signal: AbortSignal): Promise<JobDatasets> {
  const dataset = await fetchOne(work.dataset, path.join(folder, 'dataset'), signal);
  const validation = work.validation && (await fetchOne(work.validation, path.join(folder, 'validation'), signal));
  const target = work.target && (await fetchOne(work.target, path.join(folder, 'target'), signal));

  const aside = [...(validation?.rows ?? []), ...(target?.rows.filter((row) => row.split !== 'train') ?? [])].filter(isLabelled);
  const elsewhere = new Set(aside.map((row) => row.sha256));
  // What the source classifier was enrolled with, it has seen: such a row judges nothing, and is learnt from as its example.
  const enrolled = new Set(work.source?.examples.map((example) => example.sha256));
  // When a model is judged by another dataset's rows, every split of this one is for training.
  const own = elsewhere.size === 0 ? dataset.rows.filter((row) => row.split !== 'train' && !enrolled.has(row.sha256)).map((row) => row.sha256) : [];
  const known = dataset.rows.filter((row) => enrolled.has(row.sha256)).map((row) => row.row);
  const leaked = dataset.rows.filter((row) => elsewhere.has(row.sha256)).map((row) => row.row);
  const named = work.exclude.filter((one) => typeof one === 'number').filter((row) => row < dataset.count);
  const found = await rowsWithIssues(work, dataset, signal);

  const out = new Set([...leaked, ...known, ...found.keys(), ...named, ...dataset.withdrawn]);
  const judging = (rows: readonly FrozenRow[] = []) => judgesAmong(rows, work.method);
  const ofTarget = validation ? [] : judging(target?.rows);
  const judges = validation?.rows.filter(isLabelled) ?? (ofTarget.length > 0 ? ofTarget : judging(dataset.rows.filter((row) => !out.has(row.row))));
  const judged = new Set(judges.map((row) => row.sha256));
  const twice = rowsThatAreExamples(work, dataset.rows).filter((row) => !judged.has(row.sha256) && !out.has(row.row));
  for (const row of twice) out.add(row.row);
  // What the target itself judges by, the engine holds out. Unlabelled inputs tell an adaptation of the domain, and nothing of the answers.
  const toldOfTarget = ofTarget.length > 0 ? [] : (target?.rows.filter((row) => isLabelled(row) && judged.has(row.sha256)) ?? []);

  const gone = dataset.withdrawn.length + (validation?.withdrawn.length ?? 0) + (target?.withdrawn.length ?? 0);
  const told = gone === 0 ? [] : [`${gone} rows are examples that were deleted from their classifier since; they are left out.`];
  const notes: string[] = [];
  if (leaked.length > 0)
    notes.push(`${leaked.length} rows of the dataset are also held out in the validation or target dataset; they are not trained on.`);
  if (known.length > 0) notes.push(`${known.length} rows of the dataset are examples of the source classifier; as rows they are left out.`);
  if (twice.length > 0) notes.push(`${twice.length} rows of the dataset are examples of the classifier; they are learnt from once, as examples.`);
  const byCode = Map.groupBy(found.values(), (code) => code);
  if (found.size > 0) notes.push(`Left out by their quality: ${[...byCode].map(([code, rows]) => `${rows.length} ${code}`).join(', ')}.`);
  const alone = new Set(named.filter((row) => !found.has(row))).size;
  if (alone > 0) notes.push(`Left out by their number: ${alone}.`);
  if (toldOfTarget.length > 0) notes.push(`${toldOfTarget.length} labelled rows of the target are held out elsewhere; they are not trained on.`);
  return {
    dataset: dataset.spec,
    validation: validation?.spec ?? null,
    target: target?.spec ?? null,
    excludeRows: inOrder(out),
    excludeTargetRows: inOrder([...toldOfTarget.map((row) => row.row), ...(target?.withdrawn ?? [])]),
    withdrawn: { validation: [...(validation?.withdrawn ?? [])], target: [...(target?.withdrawn ?? [])] },
    notes: [...notes, ...told],
    told,
    held: new Set([...own, ...elsewhere]),
    judged,
  };
}

const inOrder = (rows: Iterable<number>): number[] => [...rows].toSorted((a, b) => a - b);

/**
 * A row that is an example too would be learnt from twice, and vouch for itself wherever it is left out. The example stays, because the classifier keeps
 * it. Not where the row says more: its other tasks, or that it is of the target.
 */
function rowsThatAreExamples({ enrolled, method, source, target }: Work, rows: readonly FrozenRow[]): FrozenRow[] {
  const isTarget = Boolean(source) && !target && (method?.type === 'domain_adaptation' || method?.type === 'domain_confusion');
  if (isTarget || method?.type === 'multi_task') return [];
  const examples = new Set(enrolled?.map((example) => example.sha256));
  return rows.filter((row) => examples.has(row.sha256));
}

/** Of one dataset, as the engine chooses them: its labelled test rows, or those of validation where there are none. */
function judgesAmong(rows: readonly FrozenRow[], method: Work['method']): FrozenRow[] {
  const task = method?.type === 'multi_task' ? method.task : undefined;
  const isTold = (row: FrozenRow): boolean =>
    task === undefined ? row.label !== null || (row.labels ?? null) !== null : row.tasks?.[task] !== undefined;
  const of = (split: FrozenRow['split']) => rows.filter((row) => row.split === split && isTold(row));
  const test = of('test');
  return test.length > 0 ? test : of('validation');
}

/** In any of its tasks, or with none of the labels. */
const isLabelled = (row: FrozenRow): boolean => row.label !== null || (row.labels ?? null) !== null || Object.keys(row.tasks ?? {}).length > 0;

async function fetchOne(of: TrainWork['dataset'], folder: string, signal: AbortSignal): Promise<Fetched> {
  await mkdir(folder, { recursive: true });
  const get = async (name: string): Promise<string> => {
    const from = of.files[name];
    if (!from) throw new GraftError('internal', `the lease has no download for ${name} of ${of.id}`);
    const file = path.join(folder, name);
    await download(from, file, signal);
    return file;
  };
  const arrays = await get('dataset.safetensors');
  const all: FrozenRow[] = [];
  for await (const value of jsonLinesOf(await get('rows.jsonl'))) all.push(FrozenRow.parse(value));
  const left = of.examples_left && new Set(of.examples_left);
  const rows = left ? all.filter((row) => left.has(row.file)) : all;
  const withdrawn = left ? all.filter((row) => !left.has(row.file)).map((row) => row.row) : [];
  const tasks = of.manifest.tasks.map(({ name, labels }) => ({ name, labels }));
  return { spec: { arrays, labels: of.manifest.labels, tasks }, rows, withdrawn, count: all.length, folder };
}

/** Row → the first of the asked findings about it. A dataset without a quality report has none. */
async function rowsWithIssues(work: Work, dataset: Fetched, signal: AbortSignal): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  const report = work.dataset.files['quality.jsonl'];
  const asked = new Set<string>(work.exclude.filter((one) => typeof one === 'string'));
  if (!report || asked.size === 0) return found;
  const file = path.join(dataset.folder, 'quality.jsonl');
  await download(report, file, signal);
  for await (const value of jsonLinesOf(file)) {
    const { code, row } = Finding.parse(value);
    if (row !== null && asked.has(code) && row < dataset.count && !found.has(row)) found.set(row, code);
  }
  return found;
}
