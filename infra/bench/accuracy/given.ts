/** A set that whoever runs the benchmark brings: a folder of `label/picture`, or lines of `{"text", "label"}`. The label is its own name. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import { seededRandom } from '../../../shared/statistics.ts';
import { shuffled } from './episodes.ts';
import { keepBigClasses, namesOf, type Item, type LabelledSet } from './sets.ts';

const PICTURE = /\.(jpe?g|png|webp)$/i;
const Row = z.object({ text: z.string().min(1), label: z.string().min(1) });
/** One support row and the query rows of an episode. */
const MIN_PER_CLASS = 9;
const MAX_PER_CLASS = 60;
/** A decoded picture takes 192 KiB until it is embedded. */
const ROWS_MAX = 6_000;

const visible = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .toSorted();

function pictures(folder: string): Item[] {
  const labels = visible(folder).filter((name) => statSync(join(folder, name)).isDirectory());
  return labels.flatMap((label) =>
    visible(join(folder, label))
      .filter((name) => PICTURE.test(name))
      .map((name) => ({ label, id: `${label}/${name}`, picture: new Uint8Array(readFileSync(join(folder, label, name))) })),
  );
}

function texts(file: string): Item[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, at) => {
    if (line.trim() === '') return [];
    const row = parsed(line);
    if (!row) throw new Error(`${file}, line ${at + 1}: expected {"text": …, "label": …}`);
    return [{ ...row, id: String(at) }];
  });
}

function parsed(line: string): z.infer<typeof Row> | null {
  try {
    return Row.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/**
 * At most 60 seeded rows of each class, fewer where there are more than a hundred classes; smaller ones than an episode needs are left out.
 * @throws Error naming the path, and the line, at fault
 */
export function givenSet(path: string): LabelledSet {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new Error(`--data ${path}: there is no such file or folder`);
  const all = found.isDirectory() ? pictures(path) : texts(path);
  const name = basename(path, extname(path));
  const most = Math.min(MAX_PER_CLASS, Math.floor(ROWS_MAX / new Set(all.map((item) => item.label)).size));
  const items = keepBigClasses(shuffled(all, seededRandom(1)), MIN_PER_CLASS, most);
  if (new Set(items.map((item) => item.label)).size < 2)
    throw new Error(`--data ${path}: fewer than two labels with ${MIN_PER_CLASS} ${found.isDirectory() ? 'pictures' : 'texts'} each`);
  return { name, modality: found.isDirectory() ? 'image' : 'text', items, names: namesOf(items) };
}
