/** Rows of datasets and uploads as callers see them. */
import { z } from 'zod';
import { DatasetManifest } from '../../../shared/dataset.ts';
import { ErrorDetail } from '../../../shared/errors.ts';
import type { Dataset, Upload } from '../../../shared/wire/datasets.ts';
import type { DatasetRow, UploadRow } from '../../stores/datasets.ts';

export const iso = (at: number): string => new Date(at).toISOString();
export const isoOrNull = (at: number | null): string | null => (at === null ? null : iso(at));

export function presentDataset(row: DatasetRow): Dataset {
  const manifest = row.manifest === null ? null : DatasetManifest.parse(row.manifest);
  return {
    object: 'dataset',
    id: row.id,
    name: row.name,
    modality: row.modality,
    task: row.task,
    format: row.format,
    columns: row.columns ?? null,
    from_classifier: row.fromClassifier,
    status: row.status,
    rows: manifest?.rows ?? null,
    labels: manifest?.labels ?? null,
    counts: manifest?.counts ?? null,
    unlabelled: manifest?.unlabelled ?? null,
    tasks: manifest?.tasks ?? null,
    digest: manifest?.digest ?? null,
    errors: row.errors === null ? [] : z.array(ErrorDetail).parse(row.errors),
    error_count: row.errorCount,
    upload_id: row.uploadId,
    created_at: iso(row.createdAt),
    ready_at: isoOrNull(row.readyAt),
  };
}

export function presentUpload(row: UploadRow, parts: Upload['parts']): Upload {
  return {
    object: 'dataset.upload',
    upload_id: row.id,
    dataset: row.datasetId,
    filename: row.filename,
    bytes: row.bytes,
    status: row.status,
    part_bytes: row.partBytes,
    parts,
    expires_at: iso(row.expiresAt),
    created_at: iso(row.createdAt),
  };
}
