/** JSON Schema of the engine protocol, generated from shared/engine.ts; `--check` fails when the committed files differ. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { EngineLine, EngineSpec } from '../shared/engine.ts';

const FOLDER = path.join(import.meta.dirname, '../gpu-trainer/engine/schema');

/** File name → its text as it should be. */
export function engineSchemas(): Record<string, string> {
  const text = (schema: z.ZodType): string => `${JSON.stringify(z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }), null, 2)}\n`;
  return { 'engine-spec.json': text(EngineSpec), 'engine-line.json': text(EngineLine) };
}

if (import.meta.main) {
  mkdirSync(FOLDER, { recursive: true });
  for (const [name, text] of Object.entries(engineSchemas())) {
    const file = path.join(FOLDER, name);
    if (!process.argv.includes('--check')) writeFileSync(file, text);
    else if (readFileSync(file, 'utf8') !== text) throw new Error(`${file} is not what shared/engine.ts says: run node infra/generate-schema.ts`);
  }
}
