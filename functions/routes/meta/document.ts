/** The OpenAPI 3.1 document, made from the routes that are really mounted. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { HttpEnv } from '../../http/context.ts';
import { receiver } from './receiver.ts';

type Document = ReturnType<OpenAPIHono<HttpEnv>['getOpenAPI31Document']>;

const DESCRIPTION = `Teach it your classes in a second, serve them at the edge, retrain on a GPU when it pays, and never ship a worse model.

Every call but health and documentation needs \`Authorization: Bearer graft_…\`. Ids are prefixed and sort by time; times are ISO 8601 UTC; lists are
\`{object: "list", data, has_more, next_cursor}\` with \`?limit=&cursor=\`. Errors are RFC 9457 \`application/problem+json\` with a stable \`code\`.
Send \`Idempotency-Key\` with any POST that creates, and repeat it safely for 24 hours. \`X-Request-Id\` comes back in every answer.`;

const made = new WeakMap<object, Document>();

export function documentOf(app: OpenAPIHono<HttpEnv>, origin: string): Document & { servers: { url: string }[] } {
  let document = made.get(app);
  if (!document) {
    app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer', description: 'A key: `graft_…`.' });
    app.openAPIRegistry.registerWebhook(receiver);
    document = app.getOpenAPI31Document(
      {
        openapi: '3.1.0',
        info: {
          title: 'Graft',
          version: '1',
          description: DESCRIPTION,
          license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
        },
        security: [{ bearer: [] }],
      },
      { unionPreferredType: 'oneOf' },
    );
    // Trainer hosts have their own tokens and protocol; it is not part of the public document.
    for (const path of Object.keys(document.paths ?? {})) if (path.startsWith('/runner/')) delete document.paths?.[path];
    document = nullableReferences(portablePatterns(document));
    made.set(app, document);
  }
  return { ...document, servers: [{ url: origin }] };
}

/**
 * The generator writes a regular expression with its flags: `…$/u` fits no string, and a client that checks what it sends refused every label. Classes by
 * name become ranges, because Python's `re` does not know them; half of a surrogate pair is in no valid UTF-8, so there is nothing to say about it.
 */
function portablePatterns<T>(value: T): T {
  if (Array.isArray(value)) return value.map(portablePatterns) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'pattern' && typeof inner === 'string' ? portable(inner) : portablePatterns(inner)]),
  ) as T;
}

const portable = (pattern: string): string =>
  pattern
    .replace(/\/[a-z]+$/, '')
    .replaceAll(String.raw`\p{Cc}`, String.raw`\u0000-\u001f\u007f-\u009f`)
    .replaceAll(String.raw`\p{Cs}`, '');

/**
 * The generator writes "this component or null" as the component *and* something that may be null, which no null fits. Of a copy, because what is
 * generated shares objects with the registry.
 */
function nullableReferences<T>(value: T): T {
  if (Array.isArray(value)) return value.map(nullableReferences) as T;
  if (typeof value !== 'object' || value === null) return value;
  const { allOf, ...rest } = value as { allOf?: readonly unknown[] };
  const [reference, other] = allOf ?? [];
  const either = allOf?.length === 2 && isReference(reference) && mayBeNull(other) ? { anyOf: [reference, { type: 'null' }] } : allOf && { allOf };
  return { ...Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, nullableReferences(inner)])), ...either } as T;
}

const isReference = (value: unknown): boolean => typeof value === 'object' && value !== null && '$ref' in value;

function mayBeNull(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && Array.isArray(value.type) && value.type.includes('null');
}
