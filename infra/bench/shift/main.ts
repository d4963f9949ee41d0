/**
 * `npm run bench:shift [-- --episodes 10 --styles apple,twitter,google,facebook --json]`: ten examples a class in one drawing style, 64 inputs without
 * labels in another, judged on further drawings of the second. The code of `/adapt` itself against the head as it was, against per-domain centring and
 * against scikit-learn on aligned embeddings, on the same episodes; then inputs that must be refused, and how often they are.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { encodeSafetensors, tensor } from '../../../shared/safetensors.ts';
import { PYTHON } from '../../paths.ts';
import { progressBar } from '../../progress.ts';
import { ensureSetup } from '../../setup/main.ts';
import { backgroundOf, embedSet, type EmbeddedSet } from '../accuracy/embeddings.ts';
import { halfInterval, mean } from '../accuracy/measures.ts';
import { emojiPictures, STYLES, type Style } from '../accuracy/sets.ts';
import { shiftEpisodes, TARGET_INPUTS, type ShiftEpisode } from './episodes.ts';
import { decideFor, runOurs, solveInputOf, type Ours } from './ours.ts';

const { values } = parseArgs({ options: { episodes: { type: 'string' }, styles: { type: 'string' }, json: { type: 'boolean' } } });
const COUNT = Number(values.episodes ?? 10);
const SHOTS = 10;
/** Fewer drawings of one class than an adaptation asks for are refused for their number, which shows nothing. */
const ONE_CLASS_MIN = 24;
/** A decision takes as long as an enrollment; other classes and single classes are asked of every third episode. */
const HOSTILE_EVERY = 3;
const Lines = z.array(z.record(z.string(), z.number()));

type Pair = { readonly name: string; readonly ours: readonly Ours[]; readonly peers: readonly Record<string, number>[] };
type Refusals = Record<string, { asked: number; refused: number; reasons: Record<string, number> }>;

function writeRows(file: string, set: EmbeddedSet): void {
  const d = set.rows[0]!.length;
  const flat = new Float32Array(set.rows.length * d);
  for (const [i, row] of set.rows.entries()) flat.set(row, i * d);
  writeFileSync(file, encodeSafetensors({ rows: tensor('F32', [set.rows.length, d], flat) }));
}

async function runPeers(source: EmbeddedSet, target: EmbeddedSet, all: readonly ShiftEpisode[]): Promise<Record<string, number>[]> {
  const folder = mkdtempSync(join(tmpdir(), 'graft-shift-'));
  try {
    const [from, to, asked] = ['source', 'target', 'episodes'].map((name) => join(folder, name)) as [string, string, string];
    writeRows(from, source);
    writeRows(to, target);
    writeFileSync(asked, JSON.stringify(all));
    const child = spawn(PYTHON, [join(import.meta.dirname, 'peers.py'), from, to, asked], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(`the peers ended with ${String(code)}`);
    return Lines.parse(JSON.parse(text));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Inputs that are no other domain, or none of its classes, or one class only. */
function mustRefuse(
  into: Refusals,
  source: EmbeddedSet,
  target: EmbeddedSet,
  background: readonly Float32Array[],
  episode: ShiftEpisode,
  hostile: boolean,
): void {
  const same = source === target;
  const input = solveInputOf(source, background, episode);
  const ask = (name: string, rows: readonly number[]): void => {
    const decision = decideFor(input, target, rows);
    const line = (into[name] ??= { asked: 0, refused: 0, reasons: {} });
    line.asked++;
    if (decision.adapt) return;
    line.refused++;
    line.reasons[decision.reason] = (line.reasons[decision.reason] ?? 0) + 1;
  };
  if (same) ask('the same style again', episode.target);
  if (!hostile) return;
  ask(same ? 'the same style, other classes' : 'another style, other classes', episode.strangers);
  const one = episode.oneClass.slice(0, TARGET_INPUTS);
  if (one.length >= ONE_CLASS_MIN) ask(same ? 'the same style, one class' : 'another style, one class', one);
}

const figure = (list: readonly number[]): string => `${mean(list).toFixed(1)} ± ${halfInterval(list).toFixed(1)}`;

function print(pairs: readonly Pair[], refusals: Refusals): string {
  const methods: [string, (pair: Pair) => number[]][] = [
    ['Graft, not adapted', (p) => p.ours.map((o) => o.source)],
    ['Graft /adapt, as served', (p) => p.ours.map((o) => o.adapt)],
    ...Object.keys(pairs[0]!.peers[0]!).map((name): [string, (pair: Pair) => number[]] => [name, (p) => p.peers.map((line) => line[name]!)]),
  ];
  const lines = [
    `\n${SHOTS} shots, ${TARGET_INPUTS} inputs without labels, ${COUNT} seeded episodes a pair; accuracy in %, mean with 95 % interval\n`,
  ];
  for (const [name, read] of methods) lines.push(`${name.padEnd(30)} ${figure(pairs.flatMap(read))}`);
  lines.push('');
  for (const pair of pairs) {
    const refused = pair.ours.filter((o) => !o.decision.adapt).length;
    const peer = (name: string) => figure(pair.peers.map((line) => line[name]!));
    const [source, adapt] = [pair.ours.map((o) => o.source), pair.ours.map((o) => o.adapt)].map(figure);
    lines.push(
      `${pair.name.padEnd(22)} ${source} → ${adapt}   CORAL + LR CV sqrt ${peer('CORAL + LR CV sqrt')}   refused ${refused}/${pair.ours.length}`,
    );
  }
  const worse = pairs.flatMap((p) => p.ours).filter((o) => o.decision.adapt && o.adapt < o.source);
  lines.push(`\nAdapted and worse than before on the held-out part: ${worse.length} of ${pairs.flatMap((p) => p.ours).length} episodes`);
  lines.push('\nMust be refused');
  for (const [name, r] of Object.entries(refusals)) lines.push(`${name.padEnd(30)} refused ${r.refused} of ${r.asked}  ${JSON.stringify(r.reasons)}`);
  return `${lines.join('\n')}\n`;
}

await ensureSetup();
const styles = (values.styles?.split(',') ?? STYLES) as Style[];
const sets = styles.map((style) => embedSet(emojiPictures(style)));
const background = backgroundOf('image');
const pairs: Pair[] = [];
const refusals: Refusals = {};
const bar = progressBar('Domain shift');
let done = 0;
for (const source of sets)
  for (const target of sets) {
    const all = shiftEpisodes(source, target, SHOTS, COUNT);
    const name = `${source.name} → ${target.name}`.replaceAll('emoji-', '');
    const peers = source === target ? null : runPeers(source, target, all);
    const ours: Ours[] = [];
    for (const [at, episode] of all.entries()) {
      if (peers) ours.push(runOurs(source, target, background, episode));
      mustRefuse(refusals, source, target, background, episode, at % HOSTILE_EVERY === 0);
      bar.tick(++done / (sets.length ** 2 * COUNT), name);
      // Lets the peers' output through.
      await new Promise(setImmediate);
    }
    if (peers) pairs.push({ name, ours, peers: await peers });
  }
bar.end();
process.stdout.write(values.json ? `${JSON.stringify({ shots: SHOTS, inputs: TARGET_INPUTS, pairs, refusals })}\n` : print(pairs, refusals));
