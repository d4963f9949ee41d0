/** Parts of an upload: sizes that always add up, and faults that are named. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOfPart, checkParts, partBytesFor, partCount, PARTS_MAX } from '../../functions/domain/upload-parts.ts';
import { HOST_FILE_PART_BYTES, UPLOAD_MAX_BYTES, UPLOAD_PART_BYTES } from '../../shared/limits.ts';

describe('parts', () => {
  it('add up to the upload, are never empty and never more than the store takes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: UPLOAD_MAX_BYTES * 50 }), (bytes) => {
        const size = partBytesFor(bytes);
        const count = partCount(bytes, size);
        expect(size).toBeGreaterThanOrEqual(UPLOAD_PART_BYTES);
        expect(count).toBeLessThanOrEqual(PARTS_MAX);
        expect((count - 1) * size + bytesOfPart(count, bytes, size)).toBe(bytes);
        expect(bytesOfPart(count, bytes, size)).toBeGreaterThan(0);
      }),
    );
  });
  it('of the files of a trainer host are larger, and grow only where there would be too many', () => {
    const [million, usual] = [1_000_000 * 256 * 256 * 3, HOST_FILE_PART_BYTES];
    expect(partBytesFor(million, usual)).toBe(usual);
    expect(partBytesFor(usual * PARTS_MAX, usual)).toBe(usual);
    const more = usual * PARTS_MAX + 1;
    expect(partBytesFor(more, usual)).toBeGreaterThan(usual);
    expect(partCount(more, partBytesFor(more, usual))).toBeLessThanOrEqual(PARTS_MAX);
  });
  it('of a complete list have no fault; with any one gone, changed or resized they have one that names it', () => {
    const upload = { bytes: 25, partBytes: 10 };
    const stored = [10, 10, 5].map((bytes, i) => ({ number: i + 1, etag: `e${i + 1}`, bytes }));
    const claimed = stored.map(({ number, etag }) => ({ number, etag }));
    expect(checkParts(upload, claimed, stored)).toEqual([]);
    for (let i = 0; i < 3; i++) {
      const name = `Part ${i + 1}`;
      const one = (problems: ReturnType<typeof checkParts>, code: string) => {
        expect(problems.map((p) => p.code)).toEqual([code]);
        expect(problems[0]?.detail).toContain(name);
      };
      one(checkParts(upload, claimed.toSpliced(i, 1), stored), 'part_missing');
      one(checkParts(upload, claimed, stored.toSpliced(i, 1)), 'part_missing');
      one(checkParts(upload, claimed.with(i, { number: i + 1, etag: 'x' }), stored), 'part_etag');
      one(checkParts(upload, claimed, stored.with(i, { ...stored[i]!, bytes: 3 })), 'part_size');
      one(checkParts(upload, [...claimed, claimed[i]!], stored), 'part_repeated');
    }
  });
  it('sent twice and listed twice: the content that the caller names counts', () => {
    const stored = [
      { number: 1, etag: 'old', bytes: 3 },
      { number: 1, etag: 'new', bytes: 10 },
    ];
    const upload = { bytes: 10, partBytes: 10 };
    expect(checkParts(upload, [{ number: 1, etag: 'new' }], stored)).toEqual([]);
    expect(checkParts(upload, [{ number: 1, etag: 'new' }], stored.toReversed())).toEqual([]);
    expect(checkParts(upload, [{ number: 1, etag: 'old' }], stored).map((p) => p.code)).toEqual(['part_size']);
  });
});
