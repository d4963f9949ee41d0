/**
 * Makes the picture pack from npm `emoji-datasource-twitter` 16.0.0 (Twemoji drawings). Deterministic: order by code point, no randomness.
 * Usage: node test/pack/make.ts <folder of the unpacked npm package>
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const CLASSES: Record<string, readonly string[]> = {
  bird: ['animal-bird'],
  building: ['place-building'],
  clothing: ['clothing'],
  mammal: ['animal-mammal'],
  meal: ['food-prepared'],
  plant: ['plant-flower', 'plant-other'],
  produce: ['food-fruit', 'food-vegetable'],
  vehicle: ['transport-ground'],
  weather: ['sky & weather'],
};
/** Never seen by a class: statistics of "pictures in general" for centring and the open-set threshold. */
const BACKGROUND = [
  'tool', 'household', 'office', 'game', 'drink', 'event', 'book-paper', 'light & video', 'av-symbol', 'geometric', 'heart', 'arrow', 'time',
  'computer', 'mail', 'medical', 'science', 'music', 'warning', 'religion', 'sport', 'face-concerned',
]; // prettier-ignore
/** Chosen before anything was measured: unrelated to classes and background alike. */
const PROBES = ['face-smiling', 'country-flag', 'keycap'];
const BACKGROUND_COUNT = 256;
const PROBES_EACH = 4;

const Entry = z.object({ short_name: z.string(), image: z.string(), subcategory: z.string(), sort_order: z.number(), has_img_twitter: z.boolean() });

const source = process.argv[2];
if (!source) throw new Error('usage: node test/pack/make.ts <unpacked emoji-datasource-twitter>');
const here = import.meta.dirname;
const entries = z
  .array(Entry)
  .parse(JSON.parse(readFileSync(path.join(source, 'emoji.json'), 'utf8')))
  .filter((e) => e.has_img_twitter)
  .toSorted((a, b) => (a.image < b.image ? -1 : 1));

function put(folder: string, chosen: readonly z.infer<typeof Entry>[]): void {
  const to = path.join(here, folder);
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const e of chosen) copyFileSync(path.join(source ?? '', 'img/twitter/64', e.image), path.join(to, `${e.short_name}.png`));
  process.stdout.write(`${folder}: ${chosen.length}\n`);
}

for (const [label, subcategories] of Object.entries(CLASSES))
  put(
    `classes/${label}`,
    entries.filter((e) => subcategories.includes(e.subcategory)),
  );
const background = entries.filter((e) => BACKGROUND.includes(e.subcategory));
put(
  'background',
  background.filter(
    (_, i) => Math.floor((i * BACKGROUND_COUNT) / background.length) !== Math.floor(((i - 1) * BACKGROUND_COUNT) / background.length),
  ),
);
put(
  'probes',
  PROBES.flatMap((name) => entries.filter((e) => e.subcategory === name).slice(0, PROBES_EACH)),
);
