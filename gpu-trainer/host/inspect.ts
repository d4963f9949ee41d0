/**
 * The quality report of a dataset that was just frozen: the engine looks at every row, the host names its findings by file and line. A report is a
 * courtesy: whatever goes wrong with it is logged, and the dataset is as valid without one.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FrozenRow, type DatasetManifest } from '../../shared/dataset.ts';
import { ENGINE_PROTOCOL, type EngineSpec } from '../../shared/engine.ts';
import type { DatasetIssue, Inspection, QualityIssue } from '../../shared/quality.ts';
import type { CompleteRequest, ValidateWork } from '../../shared/runner.ts';
import { runEngine } from './engine-process.ts';
import { fetchBackbone } from './job-backbone.ts';
import { sha256OfFile } from './transfer.ts';
import type { Context } from './train-work.ts';
import type { Frozen } from './validate/freeze.ts';
import { textLines } from './validate/text-lines.ts';

/** Longer than this nobody waits for a dataset to become ready: a larger one is judged by a sample. */
const MAX_SECONDS = 300;
/** Below this a picture was enlarged so much that it is mostly made up. */
const TINY_SIDE_PX = 32;

type Inspected = Frozen & { readonly inspection: Extract<CompleteRequest, { kind: 'validate' }>['inspection'] };

/** The same frozen dataset, with `quality.jsonl` among its files when it could be inspected. Rejects only when the lease is to be given back. */
export async function inspectFrozen(c: Context, work: ValidateWork, frozen: Frozen): Promise<Inspected> {
  const none = { ...frozen, inspection: null };
  const { manifest } = frozen;
  if (!manifest || !work.backbone) return none;
  try {
    const found = await inspect(c, work, work.backbone, manifest);
    const { issues, ...seen } = addOriginals(found, frozen);
    const inspection = { ...seen, left_out: frozen.leftOut?.counts ?? {} };
    if (issues.length === 0 && !frozen.leftOut) return { ...frozen, inspection };
    const file = path.join(c.folder, 'quality.jsonl');
    const text = (await nameRows(issues, path.join(c.folder, 'rows.jsonl'))).map((issue) => `${JSON.stringify(issue)}\n`).join('');
    await writeFile(file, text);
    if (frozen.leftOut) await pipeline(createReadStream(frozen.leftOut.file), createWriteStream(file, { flags: 'a' }));
    const facts = { name: 'quality.jsonl', sha256: await sha256OfFile(file), bytes: (await stat(file)).size };
    return { ...frozen, manifest: { ...manifest, files: [...manifest.files, facts] }, files: [...frozen.files, file], inspection };
  } catch (error) {
    c.keeper.signal.throwIfAborted();
    const detail = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${new Date().toISOString()} no quality report of ${work.dataset}: ${detail}\n`);
    return none;
  }
}

type Facts = Pick<DatasetManifest, 'task' | 'labels'>;

async function inspect(
  c: Context,
  work: ValidateWork,
  backbone: NonNullable<ValidateWork['backbone']>,
  { task, labels }: Facts,
): Promise<Inspection> {
  const { GRAFT_PYTHON: python, GRAFT_THREADS: threads, GRAFT_WORK_DIR, GRAFT_DEVICE: device } = c.settings;
  const out = path.join(c.folder, 'inspection');
  await mkdir(out, { recursive: true });
  const spec: EngineSpec = {
    protocol: ENGINE_PROTOCOL,
    action: 'inspect',
    job: work.dataset,
    seed: work.split_seed,
    modality: work.modality,
    task,
    method: { type: 'auto' },
    dataset: { arrays: path.join(c.folder, 'dataset.safetensors'), labels, tasks: [] },
    exclude_rows: [],
    exclude_target_rows: [],
    exclude_validation_rows: [],
    validation: null,
    target: null,
    enrolled: null,
    source: null,
    incumbent: null,
    backbone: { id: backbone.manifest.id, dir: await fetchBackbone(backbone, GRAFT_WORK_DIR, c.keeper.signal) },
    backbones: [],
    label_texts: null,
    advice: null,
    checkpoint: null,
    out_dir: out,
    device,
    limits: { threads, max_seconds: MAX_SECONDS, processes: 1 },
    false_reject_rate: null,
  };
  const end = await runEngine(spec, { python, threads, signal: c.keeper.signal, onLine: () => Promise.resolve() });
  if (end.kind === 'inspection') return end.inspection;
  throw new Error(end.kind === 'failed' ? end.detail : `the engine ended with ${end.kind}`);
}

/** What only the originals tell: how large pictures were before they became squares of one size, and what the tokeniser drops. In the engine's order. */
function addOriginals(found: Inspection, { shortSides = [], lostCharacters = [] }: Frozen): Inspection {
  const known = new Set(found.issues.flatMap((issue) => (issue.code === 'encoding' ? [issue.row] : [])));
  const lost = lostCharacters.flatMap((count, row) => (count === 0 || known.has(row) ? [] : [lostIssue(count, row)]));
  const issues = [...found.issues, ...tinyIssues(shortSides), ...lost].toSorted(
    (a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0) || b.score - a.score || a.row - b.row,
  );
  const summary = Object.fromEntries([...Map.groupBy(issues, (issue) => issue.code)].map(([code, of]) => [code, of.length]));
  return { ...found, issues, summary };
}

/** Where most pictures are tiny, as in sets of digits, that is how the dataset is, and a fault only of those that are half as large as the others. */
function tinyIssues(shortSides: readonly (number | null)[]): QualityIssue[] {
  const sides = shortSides.filter((side) => side !== null).toSorted((a, b) => a - b);
  const usual = sides[Math.floor(sides.length / 2)] ?? 0;
  const least = usual < TINY_SIDE_PX ? usual / 2 : TINY_SIDE_PX;
  return shortSides.flatMap((side, row) =>
    side === null || side >= least
      ? []
      : [{ ...issueOf('tiny_picture', row), score: 1 - side / (2 * least), detail: `Its short side has ${side} pixels.` }],
  );
}

function lostIssue(count: number, row: number): QualityIssue {
  const detail = `${count} characters are lost: the text was read in another encoding than it was written in before it came here.`;
  return { ...issueOf('encoding', row), score: count / (count + 1), detail };
}

const issueOf = (code: QualityIssue['code'], row: number): Pick<QualityIssue, 'code' | 'row' | 'suggested' | 'with'> => ({
  code,
  row,
  suggested: null,
  with: null,
});

/** Each issue with the file and line of its row, and of the row that it repeats. */
async function nameRows(issues: readonly QualityIssue[], rowsFile: string): Promise<DatasetIssue[]> {
  const wanted = new Set(issues.flatMap((issue) => (issue.with === null ? [issue.row] : [issue.row, issue.with])));
  const places = new Map<number, { file: string; line: number | null }>();
  for await (const { text } of textLines(createReadStream(rowsFile))) {
    const { row, file, line } = FrozenRow.parse(JSON.parse(text(rowsFile)));
    if (wanted.has(row)) places.set(row, { file, line: line ?? null });
  }
  return issues.map((issue) => {
    const here = places.get(issue.row);
    const there = issue.with === null ? undefined : places.get(issue.with);
    // Rows are counted without those that were left out: their number leads to another line of the file.
    const place = there && `${there.file}${there.line === null ? '' : ` line ${there.line}`}`;
    const detail = place ? issue.detail.replace(`row ${issue.with} `, () => `${place} `) : issue.detail;
    return { ...issue, detail, file: here?.file ?? '', line: here?.line ?? null, with_file: there?.file ?? null, with_line: there?.line ?? null };
  });
}
