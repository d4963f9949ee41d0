/**
 * The rendered API reference: one page made on the server from the OpenAPI document. No script and nothing from elsewhere, so it works on a closed
 * network and needs no trust in a CDN.
 */
import { escapeHtml, page } from './pages.ts';

type Json = Record<string, unknown>;
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

const STYLE = `main{display:grid;grid-template-columns:15rem 1fr;gap:2rem}nav{position:sticky;top:1rem;align-self:start;max-height:95vh;overflow:auto;font-size:14px}
nav a{display:block;text-decoration:none;padding:.1rem 0}nav strong{display:block;margin-top:.8rem}section{border-top:1px solid var(--line);padding:1rem 0}
.m{display:inline-block;min-width:4.2rem;font:600 12px ui-monospace,monospace;text-transform:uppercase}.s{opacity:.75}details{margin:.4rem 0}summary{cursor:pointer}
h2{font-size:1.25rem;margin:2rem 0 .3rem}h3{font-size:1.05rem;margin:0 0 .4rem}@media(max-width:50rem){main{display:block}nav{position:static}}`;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const at = (value: unknown, ...path: string[]): unknown => path.reduce<unknown>((v, key) => (isObject(v) ? v[key] : undefined), value);

/** Backticks become code; everything else is escaped. */
function prose(text: unknown): string {
  return escapeHtml(typeof text === 'string' ? text : '').replace(/&#96;|`([^`]+)`/g, (_, code: string) => `<code>${code}</code>`);
}

/** An object without a name of its own is told where it stands: there is no other place to look it up. */
function shapeOf(schema: Json): string {
  const required = new Set(Array.isArray(schema['required']) ? (schema['required'] as string[]) : []);
  const fields = Object.entries(isObject(schema['properties']) ? schema['properties'] : {}).map(
    ([name, field]) => `${escapeHtml(name)}${required.has(name) ? '' : '?'}: ${typeOf(field)}`,
  );
  const others = schema['additionalProperties'];
  if (fields.length === 0 && isObject(others)) fields.push(`[name]: ${typeOf(others)}`);
  return fields.length === 0 ? 'object' : `{ ${fields.join(', ')} }`;
}

/** A schema in one line, with links to named ones. */
function typeOf(schema: unknown): string {
  if (!isObject(schema)) return 'any';
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const name = reference.split('/').at(-1) ?? '';
    return `<a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a>`;
  }
  for (const key of ['oneOf', 'anyOf'] as const) if (Array.isArray(schema[key])) return schema[key].map(typeOf).join(' | ');
  if (Array.isArray(schema['allOf'])) return schema['allOf'].map(typeOf).join(' & ');
  if ('const' in schema) return escapeHtml(JSON.stringify(schema['const']));
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => escapeHtml(JSON.stringify(value))).join(' | ');
  const type = Array.isArray(schema['type']) ? schema['type'].join(' | ') : typeof schema['type'] === 'string' ? schema['type'] : 'any';
  if (type.startsWith('array')) {
    const item = typeOf(schema['items']);
    return `${item.includes(' | ') && !(item.startsWith('{') && item.endsWith('}')) ? `(${item})` : item}[]${type.slice(5)}`;
  }
  return type.startsWith('object') ? shapeOf(schema) + escapeHtml(type.slice(6)) : escapeHtml(type);
}

function introOf(document: unknown): string {
  const text = at(document, 'info', 'description');
  return typeof text === 'string' ? text : '';
}

function bounds(schema: unknown): string {
  if (!isObject(schema)) return '';
  const shown = ['default', 'minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems', 'format'] as const;
  const parts = shown.flatMap((key) => (schema[key] === undefined ? [] : [`${key} ${JSON.stringify(schema[key])}`]));
  return parts.length > 0 ? `<span class="s"> ${escapeHtml(parts.join(', '))}</span>` : '';
}

function properties(schema: unknown): string {
  const fields = at(schema, 'properties');
  if (!isObject(fields)) return `<p>${typeOf(schema)}${bounds(schema)} ${prose(at(schema, 'description'))}</p>`;
  const required = new Set(Array.isArray(at(schema, 'required')) ? (at(schema, 'required') as string[]) : []);
  const rows = Object.entries(fields).map(
    ([name, field]) =>
      `<tr><td><code>${escapeHtml(name)}</code>${required.has(name) ? '' : ' <span class="s">optional</span>'}</td><td>${typeOf(field)}${bounds(field)}</td><td>${prose(at(field, 'description'))}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}

function parameters(list: unknown): string {
  if (!Array.isArray(list) || list.length === 0) return '';
  const rows = list.map(
    (p: unknown) =>
      `<tr><td><code>${escapeHtml(String(at(p, 'name')))}</code> <span class="s">${escapeHtml(String(at(p, 'in')))}</span></td><td>${typeOf(at(p, 'schema'))}${bounds(at(p, 'schema'))}</td><td>${prose(at(p, 'description') ?? at(p, 'schema', 'description'))}</td></tr>`,
  );
  return `<details open><summary>Parameters</summary><table>${rows.join('')}</table></details>`;
}

function bodies(content: unknown): string {
  if (!isObject(content)) return '';
  return Object.entries(content)
    .map(([type, media]) => {
      const schema = at(media, 'schema');
      const named = typeof at(schema, '$ref') === 'string' || !isObject(at(schema, 'properties'));
      return `<p><code>${escapeHtml(type)}</code> ${named ? typeOf(schema) : ''}</p>${named ? '' : properties(schema)}`;
    })
    .join('');
}

function operation(method: string, path: string, op: Json): string {
  const answers = Object.entries(isObject(op['responses']) ? op['responses'] : {}).map(([status, response]) => {
    const content = Number(status) < 400 ? bodies(at(response, 'content')) : '';
    return `<tr><td>${escapeHtml(status)}</td><td>${prose(at(response, 'description'))}${content}</td></tr>`;
  });
  const body = at(op, 'requestBody', 'content');
  return `<section id="${escapeHtml(String(op['operationId']))}"><h3><span class="m">${method}</span> <code>${escapeHtml(path)}</code></h3>
<p>${prose(op['summary'])}${op['description'] ? `. ${prose(op['description'])}` : ''}</p>${parameters(op['parameters'])}
${body ? `<details open><summary>Body</summary>${bodies(body)}</details>` : ''}<details><summary>Answers</summary><table>${answers.join('')}</table></details></section>`;
}

/** @param document an OpenAPI 3.1 document */
export function referencePage(document: object): string {
  const groups = new Map<string, { link: string; html: string }[]>();
  const calls = ['paths', 'webhooks'].flatMap((part) => Object.entries(isObject(at(document, part)) ? (at(document, part) as Json) : {}));
  for (const [path, item] of calls) {
    for (const method of METHODS) {
      const op = at(item, method);
      if (!isObject(op)) continue;
      const tag = Array.isArray(op['tags']) ? String(op['tags'][0]) : 'Other';
      const link = `<a href="#${escapeHtml(String(op['operationId']))}">${prose(op['summary'])}</a>`;
      groups.set(tag, [...(groups.get(tag) ?? []), { link, html: operation(method, path, op) }]);
    }
  }
  const schemas = Object.entries(isObject(at(document, 'components', 'schemas')) ? (at(document, 'components', 'schemas') as Json) : {});
  const nav = [...groups].map(([tag, ops]) => `<strong>${escapeHtml(tag)}</strong>${ops.map((o) => o.link).join('')}`).join('');
  const parts = [...groups].map(([tag, ops]) => `<h2>${escapeHtml(tag)}</h2>${ops.map((o) => o.html).join('')}`).join('');
  const named = schemas
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, schema]) =>
        `<section id="schema-${escapeHtml(name)}"><h3>${escapeHtml(name)}</h3><p>${prose(at(schema, 'description'))}</p>${properties(schema)}</section>`,
    )
    .join('');
  const intro = introOf(document)
    .split('\n\n')
    .map((paragraph) => `<p>${prose(paragraph)}</p>`)
    .join('');
  const body = `<nav><a href="/">Graft</a><a href="/openapi.json">openapi.json</a>${nav}<strong><a href="#schemas">Schemas</a></strong></nav>
<div><h1>API reference</h1>${intro}${parts}<h2 id="schemas">Schemas</h2>${named}</div>`;
  return page('API reference · Graft', body, STYLE);
}
