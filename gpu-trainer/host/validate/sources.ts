/** The rows of an ImageFolder zip in its own order, not yet decoded. Bad entries become errors, the rest goes on. Lines are read in lines.ts. */
import { IMAGE_MAX_BYTES, LABEL_NAME_MAX_CHARS } from '../../../shared/limits.ts';
import { LabelName } from '../../../shared/wire/classifiers.ts';
import { openArchive } from './archive.ts';
import { RowError } from './row-error.ts';

export type Split = 'train' | 'validation' | 'test';
export type SourceRow = {
  readonly file: string;
  readonly line?: number;
  readonly label: string | null;
  /** Only of a multi-label dataset, whose rows have no `label`: all that the row has, each once; null where nobody labelled it. */
  readonly labels?: readonly string[] | null;
  /** Task name → label, of rows that have several answers; absent tasks are unknown, not negative. */
  readonly tasks?: ReadonlyMap<string, string>;
  readonly split: Split | null;
  readonly bytes: Uint8Array;
};
export type OnError = (error: RowError) => void;

// A map, because a plain object also answers to names such as `constructor`.
export const SPLIT_NAMES: ReadonlyMap<string, Split> = new Map([
  ['train', 'train'],
  ['training', 'train'],
  ['validation', 'validation'],
  ['valid', 'validation'],
  ['val', 'validation'],
  ['test', 'test'],
]);

/** Pictures of a target domain that nobody has labelled. */
const UNLABELLED_FOLDER = /^unlabell?ed$/i;

/**
 * `label/picture`, `split/label/picture`, or either below one common top folder. A folder `unlabelled` holds pictures without a label, and an archive
 * without any label folder is wholly unlabelled; beside label folders a picture that lies in none is an error, because it was probably forgotten.
 */
export async function* imageFolder(file: string, archiveBytes: number, onError: OnError): AsyncGenerator<SourceRow> {
  const archive = await openArchive(file, archiveBytes);
  try {
    const paths = archive.entries.map((e) => e.fileName.split('/'));
    const top = paths[0]?.[0];
    // Files that lie beside the label folders (a README) do not make the top folder a label.
    const deep = top !== undefined && namesNothing(top) && paths.every((p) => p.length >= 2 && p[0] === top) && paths.some((p) => p.length >= 3);
    const places = paths.map((p) => placeOf(deep ? p.slice(1) : p));
    const anyLabel = places.some(({ rest }) => rest.length === 2 && !UNLABELLED_FOLDER.test(rest[0]!));
    for (const [i, entry] of archive.entries.entries()) {
      try {
        const { split, rest } = places[i]!;
        if (rest.length < 2 && anyLabel)
          throw new RowError(
            'label_missing',
            'The file lies in no label folder; use label/picture or train|validation|test/label/picture.',
            entry.fileName,
          );
        if (rest.length > 2) throw new RowError('path_too_deep', 'Pictures lie directly in their label folder.', entry.fileName);
        const label = rest.length < 2 || UNLABELLED_FOLDER.test(rest[0]!) ? null : checkLabel(rest[0]!, entry.fileName);
        yield { file: entry.fileName, label, split, bytes: await archive.read(entry, IMAGE_MAX_BYTES) };
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        onError(error);
      }
    }
  } finally {
    archive.close();
  }
}

/** A top folder may be left out of paths unless it says something about what is in it. */
function namesNothing(top: string): boolean {
  return !SPLIT_NAMES.has(top.toLowerCase()) && !UNLABELLED_FOLDER.test(top);
}

function placeOf(parts: readonly string[]): { split: Split | null; rest: readonly string[] } {
  const split = parts.length > 2 ? (SPLIT_NAMES.get(parts[0]!.toLowerCase()) ?? null) : null;
  return { split, rest: split ? parts.slice(1) : parts };
}

/** A label as it is stored: what the label of a classifier may be, trimmed and composed (NFC). Throws RowError. */
export function checkLabel(label: string, file: string, line?: number): string {
  const clean = label.trim().normalize('NFC');
  if (clean === '') throw new RowError('label_missing', 'The label is empty.', file, line);
  if (clean.length > LABEL_NAME_MAX_CHARS)
    throw new RowError('label_too_long', `The label has ${clean.length} characters; the limit is ${LABEL_NAME_MAX_CHARS}.`, file, line);
  const fault = LabelName.safeParse(clean).error?.issues[0]?.message;
  if (fault !== undefined) throw new RowError('label_invalid', `The label ${fault}.`, file, line);
  // The one name that objects of counts by label cannot hold.
  if (clean === '__proto__') throw new RowError('label_invalid', 'The label cannot be "__proto__".', file, line);
  return clean;
}
