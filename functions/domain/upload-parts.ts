/** How an upload is cut into parts, and what is wrong with the parts that arrived. Pure. */
import type { ErrorDetail } from '../../shared/errors.ts';
import { UPLOAD_PART_BYTES } from '../../shared/limits.ts';

/** S3's own limit. */
export const PARTS_MAX = 10_000;
const MIB = 1024 * 1024;

/** Bytes of every part but the last: the usual size, or as many whole MiB as keep the upload within PARTS_MAX parts. */
export function partBytesFor(bytes: number, usual: number = UPLOAD_PART_BYTES): number {
  return Math.max(usual, Math.ceil(bytes / PARTS_MAX / MIB) * MIB);
}

export function partCount(bytes: number, partBytes: number): number {
  return Math.ceil(bytes / partBytes);
}

/** Expected bytes of part `number` (1, 2, 3 …). */
export function bytesOfPart(number: number, bytes: number, partBytes: number): number {
  return Math.min(partBytes, bytes - (number - 1) * partBytes);
}

const PROBLEMS_KEPT = 20;

/**
 * Compares what the caller says it sent (`claimed`) with what the store has (`stored`). One entry a wrong part, in order, the first twenty;
 * empty when the upload can be completed.
 */
export function checkParts(
  upload: { bytes: number; partBytes: number },
  claimed: readonly { number: number; etag: string }[],
  stored: readonly { number: number; etag: string; bytes: number }[],
): ErrorDetail[] {
  const problems: ErrorDetail[] = [];
  const expected = partCount(upload.bytes, upload.partBytes);
  const byNumber = new Map<number, { etag: string; at: number }>();
  for (const [at, part] of claimed.entries()) {
    const pointer = `/parts/${at}`;
    if (byNumber.has(part.number)) problems.push({ pointer, code: 'part_repeated', detail: `Part ${part.number} is in the list twice.` });
    if (part.number > expected)
      problems.push({
        pointer,
        code: 'part_unexpected',
        detail: `Part ${part.number} does not exist: ${upload.bytes} bytes make ${expected} parts.`,
      });
    byNumber.set(part.number, { etag: part.etag, at });
  }
  // Some stores list a part that was sent twice with both its contents; the one that the caller names counts.
  const storedByNumber = new Map<number, (typeof stored)[number]>();
  for (const part of stored)
    if (!storedByNumber.has(part.number) || byNumber.get(part.number)?.etag === part.etag) storedByNumber.set(part.number, part);
  for (let number = 1; number <= expected; number++) {
    const claim = byNumber.get(number);
    const have = storedByNumber.get(number);
    const size = bytesOfPart(number, upload.bytes, upload.partBytes);
    const pointer = claim ? `/parts/${claim.at}` : '/parts';
    if (!have) problems.push({ pointer, code: 'part_missing', detail: `Part ${number} of ${expected} has not been sent.` });
    else if (!claim) problems.push({ pointer, code: 'part_missing', detail: `Part ${number} of ${expected} is not in the list.` });
    else if (have.bytes !== size)
      problems.push({ pointer, code: 'part_size', detail: `Part ${number} has ${have.bytes} bytes, expected ${size}. Send it again.` });
    else if (have.etag !== claim.etag)
      problems.push({ pointer, code: 'part_etag', detail: `Part ${number} has the ETag "${have.etag}", the list says "${claim.etag}".` });
    if (problems.length >= PROBLEMS_KEPT) break;
  }
  return problems.slice(0, PROBLEMS_KEPT);
}
