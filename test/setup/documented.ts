/** What a call refuses with has to be in the public document: looked up for every refusal that a test gets. */
import { expect } from 'vitest';
import { z } from 'zod';
import { Problem } from '../../shared/errors.ts';

const Examples = z.looseObject({ examples: z.record(z.string(), z.unknown()).optional() });
const Operation = z.looseObject({
  operationId: z.string(),
  responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), Examples).optional() })),
});
const Document = z.object({ paths: z.record(z.string(), z.record(z.string(), Operation)) });

type Documented = readonly { readonly method: string; readonly path: RegExp; readonly operation: z.infer<typeof Operation> }[];
let read: Promise<Documented> | undefined;

async function readDocument(get: (path: string) => Promise<Response>): Promise<Documented> {
  const { paths } = Document.parse(await (await get('/openapi.json')).json());
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      operation,
    })),
  );
}

/** Fails when the document does not name the status and code of a refusal. Paths and methods that it does not know are not its matter. */
export async function expectDocumented(method: string, path: string, response: Response, get: (path: string) => Promise<Response>): Promise<void> {
  if (response.headers.get('content-type') !== 'application/problem+json' || method === 'HEAD') return;
  const pathname = path.split('?')[0] ?? '';
  const found = (await (read ??= readDocument(get))).find((one) => one.method === method && one.path.test(pathname));
  if (!found) return;
  const { code } = Problem.parse(await response.clone().json());
  const { operationId, responses } = found.operation;
  const named = Object.keys(responses[String(response.status)]?.content?.['application/problem+json']?.examples ?? {});
  expect(named, `${operationId} answers ${response.status} ${code}, which its document does not name`).toContain(code);
}
