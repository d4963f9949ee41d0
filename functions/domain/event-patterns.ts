/** Which events a webhook wants: exact types or patterns in which `*` stands for any text, as in `training.job.*`. Pure. */
import { EVENT_TYPES, type EventType } from '../../shared/jobs.ts';

export function matchesPattern(pattern: string, type: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return pattern === type;
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (!type.startsWith(first) || !type.endsWith(last) || type.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = type.indexOf(part, at);
    if (found < 0 || found + part.length > type.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}

/** Patterns that no event can ever match: most likely a slip of the pen. */
export function uselessPatterns(patterns: readonly string[]): string[] {
  return patterns.filter((pattern) => !EVENT_TYPES.some((type) => matchesPattern(pattern, type)));
}

export function wants(patterns: readonly string[], type: EventType): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, type));
}
