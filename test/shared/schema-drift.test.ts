/** The engine's JSON Schema is what shared/engine.ts says. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { engineSchemas } from '../../infra/generate-schema.ts';

for (const [name, text] of Object.entries(engineSchemas()))
  test(name, () => expect(readFileSync(path.join(import.meta.dirname, '../../gpu-trainer/engine/schema', name), 'utf8')).toBe(text));
