/** Every limit that a caller can meet, with its unit in its name. Errors quote these numbers. */

export const IMAGE_MAX_BYTES = 10 * 1024 * 1024;
export const TEXT_MAX_BYTES = 100_000;
export const JSON_MAX_BYTES = 25 * 1024 * 1024;
export const BATCH_MAX_INPUTS = 64;
export const LABELS_MAX = 1_000;
export const LABEL_NAME_MAX_CHARS = 200;
/** Of a dataset, all tasks together, in UTF-8: its row has them four times beside its errors, and a row of D1 holds 2 MB. */
export const DATASET_LABEL_NAMES_MAX_BYTES = 250_000;
/** Files of a whole network of a tenant's own: what fits beside both shared backbones in an isolate (see docs/decisions). */
export const EDGE_NETWORK_MAX_BYTES = 28 * 1024 * 1024;
/** Questions that the rows of one dataset answer, and how long the name of one is. */
export const TASKS_MAX = 32;
export const TASK_NAME_MAX_CHARS = 64;
export const VECTOR_MAX_DIMENSION = 4_096;
export const PAGE_MAX = 100;
export const PAGE_DEFAULT = 20;

/** Text beyond this many tokens is not read (MiniLM was trained on 128). */
export const TEXT_MAX_TOKENS = 128;

/** Side of the square that a picture is decoded to; the network sees its centre crop, whose side is in the backbone's manifest. */
export const IMAGE_SQUARE_SIDE_PX = 256;

/** Pixel limits by format (what fits the decoder's 24 MiB of wasm memory; measured, DESIGN §8). */
export const PIXELS_MAX = {
  jpeg: 100_000_000,
  jpeg_progressive: 5_000_000,
  png: 50_000_000,
  webp: 50_000_000,
  webp_lossless: 4_000_000,
  webp_alpha: 3_000_000,
} as const;
export const DECODER_MEMORY_MAX_PAGES = 384;

export const UPLOAD_PART_BYTES = 8 * 1024 * 1024;
export const UPLOAD_MAX_BYTES = 20 * 1024 * 1024 * 1024;
export const UPLOAD_URL_TTL_SECONDS = 6 * 3600;
export const DATASET_MAX_ROWS = 1_000_000;
/** What a trainer host sends is put at once up to here, and beyond it in parts: stores refuse a single PUT of more than 5 GiB, and a cut costs one part. */
export const HOST_FILE_SINGLE_MAX_BYTES = 1024 * 1024 * 1024;
export const HOST_FILE_PART_BYTES = 256 * 1024 * 1024;
/** A presigned PUT of a host outlives many leases, but its key carries the fence, so a late one overwrites nobody's file. */
export const HOST_UPLOAD_TTL_SECONDS = 3 * 3600;
/** One line of JSONL or one record of CSV: the longest text with every character escaped, and room for fields that are not read. */
export const LINE_MAX_BYTES = 4 * 1024 * 1024;
export const DATASET_ERRORS_KEPT = 1_000;
/** Together, as JSON: they are in a dataset's row, and a row of D1 holds 2 MB. */
export const DATASET_ERRORS_MAX_BYTES = 600_000;
/** Findings about rows in the answer; `quality.jsonl` has all. */
export const QUALITY_ISSUES_SHOWN = 1_000;
/** Codes and single rows that a job leaves out: a list of tens of kilobytes in its row. */
export const EXCLUSIONS_MAX = 10_000;
/** An archive may not unpack to more than this many times its own size (zip bombs). */
export const ARCHIVE_MAX_RATIO = 200;
/** The list of rows in a zip of pictures: a million lines of 250 bytes. */
export const ARCHIVE_LIST_MAX_BYTES = 256 * 1024 * 1024;
/** Entries are listed before any is read, at some hundred bytes of memory each: a dataset's rows, with as many folders and other files. */
export const ARCHIVE_MAX_ENTRIES = 2 * DATASET_MAX_ROWS;
export const ARCHIVE_MAX_BYTES = 200 * 1024 * 1024 * 1024;

/**
 * Enrolled examples that a job, or a dataset made from a classifier, takes: their addresses are a lease of 20 MB, which is in an isolate's memory three
 * times, and their ids are in a row of D1.
 */
export const ENROLLED_TRAINED_MAX = 20_000;

export const LEASE_TTL_SECONDS = 60;
export const LEASE_WAIT_MAX_SECONDS = 25;
export const JOB_MAX_ATTEMPTS = 5;
/** One line of a job's log. */
export const EVENT_MESSAGE_MAX_CHARS = 2_000;
/** What a host says of a failure. */
export const FAIL_DETAIL_MAX_CHARS = 4_000;
export const WEBHOOK_MAX_BYTES = 20_000;
export const WEBHOOK_TIMEOUT_MS = 15_000;
export const WEBHOOK_RETRY_SECONDS = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;
/** Events, and deliveries that are over. */
export const EVENTS_KEPT_DAYS = 90;
export const IDEMPOTENCY_TTL_SECONDS = 86_400;
export const KEY_CACHE_TTL_SECONDS = 30;
export const VERSIONS_KEPT = 50;
/** Predictions that drift is judged over, at least. */
export const DRIFT_WINDOW_MIN = 100;

/** Bytes of an ONNX file that an operator adds: what a multipart request of JSON_MAX_BYTES can carry beside its manifest. */
export const BACKBONE_ONNX_MAX_BYTES = 24 * 1024 * 1024;
/**
 * Wasm memory that an added network may take at the edge: what the runtime's share of an isolate leaves beside the two shipped networks, which take 52
 * of its 90 MB (functions/inference/isolate-budget.ts).
 */
export const BACKBONE_EDGE_MAX_MEMORY_BYTES = 32 * 1024 * 1024;
/** One run at the edge: a request of BATCH_MAX_INPUTS then stays within a minute. */
export const BACKBONE_EDGE_MAX_MILLISECONDS = 900;
