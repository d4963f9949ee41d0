/** The two forms of an enrollment's body as one list of things to enroll. */
import type { EnrollRequest } from '../../../shared/wire/examples.ts';
import { readInput, type Reads } from '../../domain/read-input.ts';
import { filesOf, formFault, labelsOf } from '../../http/form-files.ts';
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
  const files = await filesOf(form, reads);
  const own = labelsOf(form, 'label');
  const shared = labelsOf(form, 'labels');
  if ((own.length === 0) === (shared.length === 0)) throw formFault('/label', 'missing', 'Give either "label" or "labels".');
  if (own.length > 1 && own.length !== files.length)
    throw formFault('/label', 'count', `There are ${own.length} labels for ${files.length} files; give one for all, or one for each.`);
  return {
    items: files.map((file, i) => ({
      labels: shared.length > 0 ? shared : [own.length === 1 ? (own[0] ?? '') : (own[i] ?? '')],
      externalId: file.name === '' ? null : file.name.slice(0, 200),
      read: file.read,
    })),
    at: (index) => `/file/${index}`,
  };
}
