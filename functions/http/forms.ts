/** Form bodies. */
import type { Context } from 'hono';
import { GraftError } from '../../shared/errors.ts';
import type { HttpEnv } from './context.ts';

/** The parsed multipart body; parsed once, however many ask. */
export async function formOf(c: Context<HttpEnv>): Promise<FormData> {
  try {
    return await c.req.formData();
  } catch (error) {
    throw new GraftError('invalid_request', 'The body is not well-formed multipart/form-data.', { cause: error });
  }
}
