/** The two forms of an addition's body: JSON with the file as base64, or a form with the file as it is. */
import type { z } from 'zod';
import { GraftError } from '../../../shared/errors.ts';
import { NewBackbone, type AddBackboneRequest } from '../../../shared/wire/backbones.ts';
import { decodeBase64 } from '../../domain/base64.ts';

export type Addition = { readonly said: NewBackbone; readonly onnx: Uint8Array };

const invalid = (detail: string, param: string): GraftError => new GraftError('invalid_request', detail, { param });

export function fromJson({ onnx, ...said }: AddBackboneRequest): Addition {
  const bytes = decodeBase64(onnx);
  if (!bytes) throw invalid('"onnx" is not base64.', 'onnx');
  return { said, onnx: bytes };
}

export async function fromForm(form: FormData): Promise<Addition> {
  const model: unknown = form.get('model');
  const manifest: unknown = form.get('manifest');
  if (!(model instanceof File)) throw invalid('The form has no file "model".', 'model');
  const text = manifest instanceof File ? await manifest.text() : manifest;
  if (typeof text !== 'string') throw invalid('The form has no field "manifest".', 'manifest');
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (cause) {
    throw new GraftError('malformed_json', 'The field "manifest" is not valid JSON.', { param: 'manifest', cause });
  }
  const said = NewBackbone.safeParse(fields);
  if (!said.success) throw faults(said.error);
  return { said: said.data, onnx: new Uint8Array(await model.arrayBuffer()) };
}

function faults(error: z.ZodError): GraftError {
  const errors = error.issues.map((issue) => ({ pointer: `/manifest/${issue.path.join('/')}`, code: issue.code, detail: issue.message }));
  return new GraftError('invalid_request', `The manifest is not valid: ${errors[0]?.detail ?? ''}`, { param: 'manifest', errors });
}
