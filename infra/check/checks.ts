/** The static checks, each a name and a function that answers with what is wrong (nothing: passed). */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE, PYTHON, ROOT, VENV } from '../paths.ts';
import { lengthFaults } from './lengths.ts';
import { rankFaults } from './ranks.ts';

export type Check = { readonly name: string; run(): Promise<string> };

/** Runs a tool; the output when it fails. */
function tool(command: string, args: readonly string[], cwd = ROOT): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
    let output = '';
    const keep = (part: Buffer): void => void (output += part.toString());
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => resolve(`${command} could not be started: ${error.message}`));
    child.once('close', (code) => resolve(code === 0 ? '' : output.trim() || `${command} ended with ${code}`));
  });
}
const bin = (file: string, ...args: string[]): Promise<string> => tool(NODE, [join(ROOT, 'node_modules', file), ...args]);

/** TypeScript sources of the product and its tests, tracked or new, path → text. */
async function sources(): Promise<Map<string, string>> {
  const listed = await new Promise<string>((resolve, reject) => {
    const child = spawn('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.py'], { cwd: ROOT });
    let output = '';
    child.stdout.on('data', (part: Buffer) => void (output += part.toString()));
    child.once('error', reject);
    child.once('close', () => resolve(output));
  });
  const files = listed.split('\n').filter((file) => file !== '' && !file.endsWith('.d.ts'));
  if (files.length === 0) throw new Error('git lists no source files: this check needs the repository');
  return new Map(files.flatMap((file) => read(file)));
}

function read(file: string): [string, string][] {
  try {
    return [[file, readFileSync(join(ROOT, file), 'utf8')]];
  } catch {
    // Deleted, not yet committed.
    return [];
  }
}

const PRODUCT = /^(functions|shared|infra|gpu-trainer|clients)\//;
const TRAINER = join(ROOT, 'gpu-trainer');

export const CHECKS: readonly Check[] = [
  { name: 'format (oxfmt)', run: () => bin('oxfmt/bin/oxfmt', '--check', 'functions', 'shared', 'infra', 'gpu-trainer', 'test') },
  { name: 'lint, type-aware (oxlint)', run: () => bin('oxlint/bin/oxlint', '--deny-warnings', '--format=unix') },
  { name: 'types (tsc)', run: () => bin('typescript/bin/tsc', '--noEmit', '-p', '.') },
  { name: 'dead code (knip)', run: () => bin('knip/bin/knip.js', '--no-progress', '--treat-config-hints-as-errors') },
  {
    name: 'import ranks',
    run: async () => [...(await sources())].flatMap(([file, text]) => (file.endsWith('.ts') ? rankFaults(file, text) : [])).join('\n'),
  },
  { name: 'file lengths', run: async () => lengthFaults(new Map([...(await sources())].filter(([file]) => PRODUCT.test(file)))).join('\n') },
  { name: 'engine lint (ruff)', run: () => tool(join(VENV, 'bin/ruff'), ['check', 'engine'], TRAINER) },
  { name: 'engine format (ruff)', run: () => tool(join(VENV, 'bin/ruff'), ['format', '--check', 'engine'], TRAINER) },
  { name: 'engine types (pyright)', run: () => bin('pyright/index.js', '--project', TRAINER, '--pythonpath', PYTHON) },
];
