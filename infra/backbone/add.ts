/**
 * `npm run backbone:add -- --onnx net.onnx --manifest net.json [--url URL]`: adds a network to the catalogue of a running Graft, as its operator.
 * The manifest is the JSON of `POST /v1/backbones` without the file; its `sha256` is filled in when it is missing. `GRAFT_URL` and
 * `GRAFT_OPERATOR_KEY` say which Graft (`npm run dev` prints both).
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { Problem } from '../../shared/errors.ts';
import { Backbone, NewBackbone } from '../../shared/wire/backbones.ts';

const USAGE =
  'Usage: npm run backbone:add -- --onnx FILE --manifest FILE.json [--url URL]   (GRAFT_OPERATOR_KEY, and GRAFT_URL unless --url is given)';

function needed(value: string | undefined, what: string): string {
  if (value) return value;
  throw new Error(`${what} is missing.\n${USAGE}`);
}

/** Manifest and digest are checked here first, so that nothing is sent in vain. */
function manifestOf(file: string, onnx: Uint8Array): NewBackbone {
  const said: unknown = { sha256: createHash('sha256').update(onnx).digest('hex'), ...(JSON.parse(readFileSync(file, 'utf8')) as object) };
  const parsed = NewBackbone.safeParse(said);
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map((issue) => `${file}: ${issue.path.join('.')}: ${issue.message}`).join('\n'));
}

/** A refusal in the server's own words. */
function refusal(status: number, text: string): string {
  try {
    const { code, detail, errors = [] } = Problem.parse(JSON.parse(text));
    return [`Refused (${code}): ${detail}`, ...errors.map((error) => `  ${error.pointer ?? ''} ${error.detail}`)].join('\n');
  } catch {
    return `Graft answered ${status}: ${text.slice(0, 500)}`;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { onnx: { type: 'string' }, manifest: { type: 'string' }, url: { type: 'string' } } });
  const file = needed(values.onnx, '--onnx');
  const url = needed(values.url ?? process.env['GRAFT_URL'], 'GRAFT_URL');
  const key = needed(process.env['GRAFT_OPERATOR_KEY'], 'GRAFT_OPERATOR_KEY');
  const onnx = Uint8Array.from(readFileSync(file));
  const form = new FormData();
  form.append('manifest', JSON.stringify(manifestOf(needed(values.manifest, '--manifest'), onnx)));
  form.append('model', new File([onnx], basename(file)));
  const response = await fetch(`${url.replace(/\/+$/, '')}/v1/backbones`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: form,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(refusal(response.status, text));
  process.stdout.write(`${JSON.stringify(Backbone.parse(JSON.parse(text)), null, 2)}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
