/** Makes one object of the parts of a multipart upload: a tenant's, or a trainer host's. May be repeated by whoever lost the answer. */
import { GraftError } from '../../../shared/errors.ts';
import { checkParts } from '../../domain/upload-parts.ts';
import type { Deps } from '../../deps.ts';
import type { JoinedPart } from '../../objects/objects.ts';

type Multipart = { readonly objectKey: string; readonly multipartId: string; readonly bytes: number; readonly partBytes: number };

/** Throws `upload_incomplete`, naming the parts, when the store does not have what was claimed. */
export async function joinParts(deps: Pick<Deps, 'objects'>, upload: Multipart, parts: readonly JoinedPart[]): Promise<void> {
  const claimed = parts.map((part) => ({ ...part, etag: part.etag.replace(/^"(.*)"$/, '$1') }));
  const stored = await deps.objects.listParts(upload.objectKey, upload.multipartId);
  // The store forgets the parts when it has joined them: then an earlier call did it and only its answer was lost.
  if (stored === null) return await needWhole(deps, upload);
  const problems = checkParts(upload, claimed, stored);
  if (problems.length > 0) throw new GraftError('upload_incomplete', problems[0]?.detail ?? 'The upload is incomplete.', { errors: problems });
  const sorted = claimed.toSorted((a, b) => a.number - b.number);
  const joined = await deps.objects.completeMultipart(upload.objectKey, upload.multipartId, sorted);
  if (!joined.ok && joined.code !== 'NoSuchUpload')
    throw new GraftError('upload_incomplete', `The object storage refused to join the parts: ${joined.code} ${joined.detail}`.trim());
  await needWhole(deps, upload);
}

async function needWhole(deps: Pick<Deps, 'objects'>, upload: Multipart): Promise<void> {
  const info = await deps.objects.head(upload.objectKey);
  if (!info) throw new GraftError('upload_incomplete', 'The object storage no longer has the parts of this upload. Open a new one.');
  if (info.bytes !== upload.bytes)
    throw new GraftError('upload_incomplete', `The joined file has ${info.bytes} bytes, ${upload.bytes} were announced.`);
}
