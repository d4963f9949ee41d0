/**
 * BERT's uncased WordPiece (Devlin et al. 2019, google-research/bert tokenization.py), agreeing token for token with the reference
 * `tokenizers` library; it stops reading at the token limit, so a 100 kB text costs no more than its first lines.
 */
import { PLAIN_RANGES } from './wordpiece-ranges.ts';

export type Tokenizer = (text: string, maxTokens?: number) => Int32Array;

const SPECIAL = /(\[CLS\]|\[SEP\]|\[MASK\]|\[UNK\]|\[PAD\])/;
const CONTROL = /^[\p{Cc}\p{Cf}\p{Co}]$/u;
const WHITE_SPACE = /^\p{White_Space}$/u;
const PUNCTUATION = /^\p{P}$/u;
const WORD_MAX_CHARS = 100;
const DEFAULT_MAX_TOKENS = 128;

const plain = new Set<number>();
for (const [from, to] of PLAIN_RANGES) for (let c = from; c <= to; c++) plain.add(c);

const isCjk = (c: number): boolean =>
  (c >= 0x4e00 && c <= 0x9fff) ||
  (c >= 0x3400 && c <= 0x4dbf) ||
  (c >= 0x20000 && c <= 0x2a6df) ||
  (c >= 0x2a700 && c <= 0x2b73f) ||
  (c >= 0x2b740 && c <= 0x2b81f) ||
  (c >= 0x2b920 && c <= 0x2ceaf) ||
  (c >= 0xf900 && c <= 0xfaff) ||
  (c >= 0x2f800 && c <= 0x2fa1f);

const isAsciiPunctuation = (c: number): boolean => (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);

/** Controls dropped, white space unified, CJK set apart, accents stripped, lower case. */
function normalise(part: string): string {
  let clean = '';
  for (const char of part) {
    const c = char.codePointAt(0) ?? 0;
    if (c === 0 || c === 0xfffd) continue;
    if (c === 9 || c === 10 || c === 13) {
      clean += ' ';
      continue;
    }
    if ((c > 126 || c < 32) && !plain.has(c)) {
      if (CONTROL.test(char)) continue;
      if (WHITE_SPACE.test(char)) {
        clean += ' ';
        continue;
      }
    }
    clean += isCjk(c) ? ` ${char} ` : char;
  }
  const stripped = clean.normalize('NFD').replace(/\p{Mn}/gu, (mark) => (plain.has(mark.codePointAt(0) ?? 0) ? mark : ''));
  let lower = '';
  // One character at a time: a whole-string toLowerCase applies the final-sigma rule, which the reference does not.
  for (const char of stripped) lower += char.toLowerCase();
  return lower;
}

/**
 * @param vocabulary one token a line, the line number is the id (BERT's vocab.txt)
 * @returns `tokenize(text, maxTokens = 128)` → ids with [CLS] first and [SEP] last, never more than `maxTokens`
 */
export function makeTokenizer(vocabulary: string): Tokenizer {
  const ids = new Map<string, number>();
  for (const [i, token] of vocabulary.split(/\r?\n/).entries()) if (token !== '') ids.set(token, i);
  const special = (token: string): number => {
    const id = ids.get(token);
    if (id === undefined) throw new RangeError(`the vocabulary has no ${token}`);
    return id;
  };
  const cls = special('[CLS]');
  const sep = special('[SEP]');
  const unknown = special('[UNK]');

  const pushWord = (word: string, out: number[]): void => {
    const chars = Array.from(word);
    if (chars.length > WORD_MAX_CHARS) {
      out.push(unknown);
      return;
    }
    const pieces: number[] = [];
    let start = 0;
    while (start < chars.length) {
      let end = chars.length;
      let id: number | undefined;
      for (; start < end; end--) {
        id = ids.get((start > 0 ? '##' : '') + chars.slice(start, end).join(''));
        if (id !== undefined) break;
      }
      if (id === undefined) {
        out.push(unknown);
        return;
      }
      pieces.push(id);
      start = end;
    }
    out.push(...pieces);
  };

  const pushText = (text: string, limit: number, out: number[]): void => {
    let word = '';
    const flush = (): void => {
      if (word) pushWord(word, out);
      word = '';
    };
    for (const char of text) {
      const c = char.codePointAt(0) ?? 0;
      if (c === 32 || (c > 126 && WHITE_SPACE.test(char))) {
        flush();
        if (out.length > limit) return;
      } else if (isAsciiPunctuation(c) || (c > 126 && !plain.has(c) && PUNCTUATION.test(char))) {
        flush();
        pushWord(char, out);
        if (out.length > limit) return;
      } else word += char;
    }
    flush();
  };

  return (text, maxTokens = DEFAULT_MAX_TOKENS) => {
    const out = [cls];
    const limit = maxTokens - 1;
    for (const part of text.split(SPECIAL)) {
      if (out.length > limit) break;
      if (SPECIAL.test(part)) out.push(special(part));
      else if (part) pushText(normalise(part), limit, out);
    }
    if (out.length > limit) out.length = limit;
    out.push(sep);
    return Int32Array.from(out);
  };
}
