/** The forms of an adaptation's body as one list of target inputs. */
import type { AdaptRequest } from '../../../shared/wire/adaptation.ts';
import { readInput, type Reads } from '../../domain/read-input.ts';
import { filesOf, formFault, labelsOf } from '../../http/form-files.ts';
import type { Target } from '../../usecases/adaptation/adapt-classifier.ts';

export function fromJson(request: AdaptRequest, reads: Reads): Target {
  if (request.dataset !== undefined) return { dataset: request.dataset };
  const inputs = (request.inputs ?? []).map((input) => ({ labels: labelsSaid(input), read: () => readInput(input, reads) }));
  return { inputs, at: (index) => `/inputs/${index}` };
}

const labelsSaid = ({ label, labels }: NonNullable<AdaptRequest['inputs']>[number]): readonly string[] | null =>
  labels ?? (label === undefined ? null : [label]);

/** `label` once for each file, empty where it is not known, or not at all. */
export async function fromForm(form: FormData, reads: Reads): Promise<Target> {
  const files = await filesOf(form, reads);
  const labels = labelsOf(form, 'label', null);
  if (labels.length > 0 && labels.length !== files.length)
    throw formFault(
      '/label',
      'count',
      `There are ${labels.length} labels for ${files.length} files; give one for each, empty where you do not know it, or none.`,
    );
  return { inputs: files.map((file, i) => ({ labels: labels[i] ? [labels[i]] : null, read: file.read })), at: (index) => `/file/${index}` };
}
