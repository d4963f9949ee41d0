/** Every key in object storage is made here (documented in docs/storage.md). */
export const objectKeys = {
  blob: (sha256: string) => `blobs/${sha256}`,
  backboneIndex: 'backbones/index.json',
  backboneManifest: (id: string) => `backbones/${id}/manifest.json`,
  example: (tenant: string, classifier: string, example: string) => `tenants/${tenant}/classifiers/${classifier}/examples/${example}`,
  /** An input kept for review; when it becomes an example it stays where it is. */
  reviewItem: (tenant: string, classifier: string, item: string) => `tenants/${tenant}/classifiers/${classifier}/review/${item}`,
  upload: (tenant: string, dataset: string, upload: string, filename: string) =>
    `tenants/${tenant}/datasets/${dataset}/uploads/${upload}/${filename}`,
  /** All that hosts have frozen for a dataset, and all that is a job's. */
  frozenOf: (tenant: string, dataset: string) => `tenants/${tenant}/datasets/${dataset}/frozen/`,
  job: (tenant: string, job: string) => `tenants/${tenant}/jobs/${job}/`,
  /** Frozen dataset files; the fence keeps two hosts from writing the same key. */
  frozen: (tenant: string, dataset: string, fence: number, name: string) => `tenants/${tenant}/datasets/${dataset}/frozen/${fence}/${name}`,
  incumbent: (tenant: string, job: string, fence: number, name: string) => `tenants/${tenant}/jobs/${job}/inputs/${fence}/${name}`,
  artifact: (tenant: string, job: string, fence: number, name: string) => `tenants/${tenant}/jobs/${job}/artifacts/${fence}/${name}`,
  /** The digest keeps a second checkpoint of the same epoch from changing the bytes of the first while a row still names them. */
  checkpoint: (tenant: string, job: string, fence: number, epoch: number, sha256: string) =>
    `tenants/${tenant}/jobs/${job}/checkpoints/${fence}-${epoch}-${sha256.slice(0, 16)}.safetensors`,
} as const;
