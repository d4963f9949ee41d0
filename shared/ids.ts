/** Prefixed, k-sortable identifiers: 48-bit millisecond time then 80 random bits in Crockford base32 (the ULID layout), lower-case. */

export const ID_PREFIXES = {
  tenant: 'ten',
  key: 'key',
  classifier: 'cls',
  example: 'ex',
  review: 'rev',
  dataset: 'ds',
  upload: 'up',
  job: 'job',
  model: 'mdl',
  event: 'evt',
  webhook: 'wh',
  delivery: 'dlv',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;

/**
 * A new identifier such as `cls_01jd…` (prefix, underscore, 26 characters).
 * @param now milliseconds since the epoch
 * @param random 16 random bytes (only the low five bits of each are used)
 */
export function makeId(kind: IdKind, now: number, random: Uint8Array): string {
  let time = '';
  let rest = Math.floor(now);
  for (let i = 0; i < TIME_CHARS; i++) {
    time = ALPHABET.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  let tail = '';
  for (let i = 0; i < RANDOM_CHARS; i++) tail += ALPHABET.charAt((random[i] ?? 0) & 31);
  return `${ID_PREFIXES[kind]}_${time}${tail}`;
}

/** `makeId` with the platform's clock and randomness; pure code takes ids as arguments instead. */
export function newId(kind: IdKind): string {
  return makeId(kind, Date.now(), crypto.getRandomValues(new Uint8Array(RANDOM_CHARS)));
}

/** What sorts before every identifier made at this time or later, and after all made earlier. */
export function firstId(kind: IdKind, now: number): string {
  return makeId(kind, now, new Uint8Array(RANDOM_CHARS));
}

/** The example that a review item becomes: the same time and random part, so that becoming one twice is becoming one once. */
export function exampleOfReviewItem(item: string): string {
  return ID_PREFIXES.example + item.slice(ID_PREFIXES.review.length);
}

/** A regular expression for one kind of id, for zod and routes. */
export function idPattern(kind: IdKind): RegExp {
  return new RegExp(`^${ID_PREFIXES[kind]}_[0-9a-hjkmnp-tv-z]{26}$`);
}
