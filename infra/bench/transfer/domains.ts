/** The domains of the transfer benchmark: embedded for the edge's own head, and as the arrays that the engine reads. */
import { decodeSafetensors, encodeSafetensors, takeTensor, tensor, type Tensor } from '../../../shared/safetensors.ts';
import { digitArrays, embedDigits, embedSet, pictureTensors, textTensors, type EmbeddedSet } from '../accuracy/embeddings.ts';
import { emojiPictures, mails, STYLES, type LabelledSet } from '../accuracy/sets.ts';

export type Domain = {
  readonly set: EmbeddedSet;
  /** The rows as a frozen dataset has them, without labels and split. */
  readonly tensorsOf: (rows: readonly number[]) => Record<string, Tensor>;
};

function ofItems(items: LabelledSet): Domain {
  const set = embedSet(items);
  const tensorsOf = (rows: readonly number[]) =>
    items.modality === 'text'
      ? textTensors(rows.map((row) => items.items[row]!.text ?? ''))
      : pictureTensors(rows.map((row) => items.items[row]!.picture ?? new Uint8Array()));
  return { set, tensorsOf };
}

/** `dark`: the same digits, black on white instead of white on black. */
function digits(dark: boolean): Domain {
  const made = digitArrays();
  const { shape, data } = takeTensor(decodeSafetensors(made.arrays), 'pixels', 'U8', 4);
  const pixels = dark ? data.map((v) => 255 - v) : data;
  const each = shape.slice(1).reduce((a, b) => a * b, 1);
  const tensorsOf = (rows: readonly number[]) => {
    const out = new Uint8Array(rows.length * each);
    for (const [i, row] of rows.entries()) out.set(pixels.subarray(row * each, (row + 1) * each), i * each);
    return { pixels: tensor('U8', [rows.length, ...shape.slice(1)], out) };
  };
  const arrays = dark ? encodeSafetensors({ pixels: tensor('U8', shape, pixels) }) : made.arrays;
  return { set: embedDigits({ arrays, y: made.y }, dark ? 'digits-dark' : 'digits'), tensorsOf };
}

const DOMAINS: Readonly<Record<string, () => Domain>> = {
  ...Object.fromEntries(STYLES.map((style) => [style, () => ofItems(emojiPictures(style))])),
  digits: () => digits(false),
  'digits-dark': () => digits(true),
  mails: () => ofItems(mails()),
  'mails-easy': () => ofItems(mails('mails-easy', { spam: ['spam-1'], ham: ['easy-ham-1'] })),
  'mails-hard': () => ofItems(mails('mails-hard', { spam: ['spam-2'], ham: ['hard-ham-1'] })),
};
export const DOMAIN_NAMES = Object.keys(DOMAINS);

/** Opens each domain once. @throws Error for a name that is none */
export function domainOpener(): (name: string) => Domain {
  const open = new Map<string, Domain>();
  return (name) => {
    const make = DOMAINS[name];
    if (!make) throw new Error(`there is no domain ${name}; there are ${DOMAIN_NAMES.join(', ')}`);
    const domain = open.get(name) ?? make();
    open.set(name, domain);
    return domain;
  };
}
