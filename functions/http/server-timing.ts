/** Where the time of a prediction went (Server-Timing, milliseconds). */
import type { Context } from 'hono';
import type { HttpEnv } from './context.ts';

const PARTS = ['decode', 'queue', 'embed', 'score'] as const;

export function tellTimings(c: Context<HttpEnv>, timings: Readonly<Record<(typeof PARTS)[number], number>>): void {
  c.header('Server-Timing', PARTS.map((part) => `${part};dur=${timings[part].toFixed(2)}`).join(', '));
}
