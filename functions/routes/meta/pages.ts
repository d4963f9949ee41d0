/** The frame of all pages, and one page for each error code. Plain HTML, nothing from elsewhere. */
import { ERRORS, type ErrorCode } from '../../../shared/errors.ts';

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** One look for all pages; follows the reader's light or dark. */
export const STYLE = `:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--soft:color-mix(in srgb,currentColor 6%,transparent)}
*{box-sizing:border-box}body{margin:0;font:16px/1.55 system-ui,sans-serif}main{max-width:74rem;margin:0 auto;padding:2rem 1.25rem}
a{color:inherit}code,pre{font:13px/1.5 ui-monospace,monospace}pre{background:var(--soft);padding:.8rem;border-radius:6px;overflow-x:auto}
code{background:var(--soft);padding:.1em .3em;border-radius:4px}pre code{background:none;padding:0}h1{font-size:1.7rem;margin:0 0 .5rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.35rem .5rem;text-align:left;vertical-align:top}`;

export function page(title: string, body: string, style = ''): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}${style}</style></head><body><main>${body}</main></body></html>`;
}

export function errorPage(code: ErrorCode): string {
  const row = ERRORS[code];
  return page(
    `${code} · Graft`,
    `<p><a href="/docs">Reference</a></p><h1><code>${code}</code></h1><p>${escapeHtml(row.title)}</p>
<table><tr><th>Status</th><td>${row.status}</td></tr><tr><th>Worth another try</th><td>${row.retryable ? 'yes, after a pause' : 'not with the same request'}</td></tr></table>`,
  );
}
