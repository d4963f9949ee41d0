/** Work of one request that others wait for, too. */
import { waitUntil } from 'cloudflare:workers';

/**
 * The platform ends a request as soon as its caller has gone, and what it awaits then never settles: others that wait for the same promise would wait for
 * ever, and with them whoever comes later. So the platform is told that the work is to be finished all the same (it allows 30 s for that).
 */
export function outlive<T>(work: Promise<T>): Promise<T> {
  waitUntil(work.catch(() => undefined));
  return work;
}
