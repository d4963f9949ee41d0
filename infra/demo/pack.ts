/** The demo's real pictures and mails, from the pack in the repository. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import yazl from 'yazl';
import { z } from 'zod';
import { ROOT } from '../paths.ts';

const PACK = join(ROOT, 'test/pack');
const Mail = z.object({ label: z.enum(['spam', 'ham']), text: z.string() });
export type Mail = z.infer<typeof Mail>;

export const classes = (): string[] => readdirSync(join(PACK, 'classes')).toSorted();

export function pictures(label: string): Buffer[] {
  const folder = join(PACK, 'classes', label);
  return readdirSync(folder)
    .toSorted()
    .map((file) => readFileSync(join(folder, file)));
}

/** Pictures that belong to no class of the pack. */
export const probes = (): Buffer[] =>
  readdirSync(join(PACK, 'probes'))
    .toSorted()
    .map((file) => readFileSync(join(PACK, 'probes', file)));

export const mails = (): Mail[] =>
  readFileSync(join(PACK, 'mails.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Mail.parse(JSON.parse(line)));

/** An ImageFolder zip of the whole pack with one truncated and one repeated picture. */
export async function imageFolderZip(): Promise<{ bytes: Buffer; pictures: number; broken: string; repeated: string }> {
  const zip = new yazl.ZipFile();
  let count = 2;
  for (const label of classes()) {
    for (const file of readdirSync(join(PACK, 'classes', label))) {
      zip.addFile(join(PACK, 'classes', label, file), `${label}/${file}`);
      count++;
    }
  }
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = pictures('bird');
  const broken = 'bird/broken.png';
  const repeated = 'bird/zz-copy.png';
  zip.addBuffer(first.subarray(0, 400), broken);
  zip.addBuffer(second, repeated);
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(Buffer.from(part));
  return { bytes: Buffer.concat(parts), pictures: count, broken, repeated };
}
