/** The fields of forms that carry inputs as files. Every fault is told at its pointer. */
import { GraftError, type ErrorDetail } from '../../shared/errors.ts';
import { BATCH_MAX_INPUTS } from '../../shared/limits.ts';
import { LabelName } from '../../shared/wire/classifiers.ts';
import { readPicture, readText, type Input, type Reads } from '../domain/read-input.ts';

export type FormFile = { readonly name: string; /** May throw a GraftError. */ readonly read: () => Input };

/** The files of the field `file`, 1 to BATCH_MAX_INPUTS. */
export async function filesOf(form: FormData, reads: Reads): Promise<FormFile[]> {
  if (reads.modality === 'vector')
    throw new GraftError('unsupported_media_type', 'Vectors come as application/json; multipart/form-data carries files of pictures or texts.');
  const files = entries(form, 'file').map((value, i) => {
    if (value instanceof File) return value;
    throw formFault(`/file/${i}`, 'not_a_file', 'The field "file" is text; send it with a filename.');
  });
  if (files.length === 0) throw formFault('/file', 'missing', 'There is no file in the form.');
  if (files.length > BATCH_MAX_INPUTS) throw formFault('/file', 'too_many', `At most ${BATCH_MAX_INPUTS} files; the form has ${files.length}.`);
  const bytes = await Promise.all(files.map(async (file) => new Uint8Array(await file.arrayBuffer())));
  return files.map((file, i) => ({ name: file.name, read: () => readFile(bytes[i] ?? new Uint8Array(0), reads) }));
}

/** The label names of a field. @param blank what an empty value stands for; without it there may be none */
export function labelsOf(form: FormData, field: string): string[];
export function labelsOf<T>(form: FormData, field: string, blank: T): (string | T)[];
export function labelsOf(form: FormData, field: string, blank?: unknown): unknown[] {
  return entries(form, field).map((value, i) => {
    if (value === '' && blank !== undefined) return blank;
    const name = LabelName.safeParse(value);
    if (name.success) return name.data;
    throw formFault(`/${field}/${i}`, 'invalid', `"${field}" is not a label name: ${name.error.issues[0]?.message ?? 'invalid'}.`);
  });
}

export function formFault(pointer: string, code: string, detail: string): GraftError {
  const errors: ErrorDetail[] = [{ pointer, code, detail }];
  return new GraftError('invalid_request', detail, { errors, param: pointer.slice(1).replaceAll('/', '.') });
}

/** Faults point at the file itself, which has no fields. */
function readFile(bytes: Uint8Array, reads: Reads): Input {
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
