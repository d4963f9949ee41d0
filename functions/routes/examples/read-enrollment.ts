/** The two forms of an enrollment's body as one list of things to enroll. */
import { GraftError, type ErrorDetail } from '../../../shared/errors.ts';
import { BATCH_MAX_INPUTS } from '../../../shared/limits.ts';
import { LabelName } from '../../../shared/wire/classifiers.ts';
import type { EnrollRequest } from '../../../shared/wire/examples.ts';
import { readInput, readPicture, readText, type Reads } from '../../domain/read-input.ts';
import type { ToEnroll } from '../../usecases/examples/enroll-examples.ts';

export type Enrollment = { readonly items: readonly ToEnroll[]; readonly at: (index: number) => string };

export function fromJson(request: EnrollRequest, reads: Reads): Enrollment {
  return {
    items: request.examples.map((example) => ({
      labels: example.labels ?? (example.label === undefined ? [] : [example.label]),
      externalId: example.external_id ?? null,
      read: () => readInput(example, reads),
    })),
    at: (index) => `/examples/${index}`,
  };
}

/** `label` once for all files or once for each; `labels`, repeated, for all files. The external id of a file is its name. */
export async function fromForm(form: FormData, reads: Reads): Promise<Enrollment> {
  if (reads.modality === 'vector')
    throw new GraftError('unsupported_media_type', 'Vectors come as application/json; multipart/form-data carries files of pictures or texts.');
  const files = entries(form, 'file').map((value, i) => {
    if (value instanceof File) return value;
    throw fault(`/file/${i}`, 'not_a_file', 'The field "file" is text; send it with a filename.');
  });
  if (files.length === 0) throw fault('/file', 'missing', 'There is no file in the form.');
  if (files.length > BATCH_MAX_INPUTS) throw fault('/file', 'too_many', `At most ${BATCH_MAX_INPUTS} files; the form has ${files.length}.`);
  const own = names(form, 'label');
  const shared = names(form, 'labels');
  if ((own.length === 0) === (shared.length === 0)) throw fault('/label', 'missing', 'Give either "label" or "labels".');
  if (own.length > 1 && own.length !== files.length)
    throw fault('/label', 'count', `There are ${own.length} labels for ${files.length} files; give one for all, or one for each.`);
  const bytes = await Promise.all(files.map(async (file) => new Uint8Array(await file.arrayBuffer())));
  return {
    items: files.map((file, i) => ({
      labels: shared.length > 0 ? shared : [own.length === 1 ? (own[0] ?? '') : (own[i] ?? '')],
      externalId: file.name === '' ? null : file.name.slice(0, 200),
      read: () => readFile(bytes[i] ?? new Uint8Array(0), reads),
    })),
    at: (index) => `/file/${index}`,
  };
}

/** Faults point at the file itself, which has no fields. */
function readFile(bytes: Uint8Array, reads: Reads) {
  try {
    return reads.modality === 'image' ? { kind: 'image' as const, bytes: readPicture(bytes) } : readText(bytes);
  } catch (error) {
    if (error instanceof GraftError) throw new GraftError(error.code, error.message, { cause: error });
    throw error;
  }
}

/** Types of FormData differ between the runtimes' typings; the values do not. */
function entries(form: FormData, name: string): (string | File)[] {
  return form.getAll(name);
}

function names(form: FormData, field: 'label' | 'labels'): string[] {
  return entries(form, field).map((value, i) => {
    const name = LabelName.safeParse(value);
    if (name.success) return name.data;
    throw fault(`/${field}/${i}`, 'invalid', `"${field}" is not a label name: ${name.error.issues[0]?.message ?? 'invalid'}.`);
  });
}

function fault(pointer: string, code: string, detail: string): GraftError {
  const errors: ErrorDetail[] = [{ pointer, code, detail }];
  return new GraftError('invalid_request', detail, { errors, param: pointer.slice(1).replaceAll('/', '.') });
}
